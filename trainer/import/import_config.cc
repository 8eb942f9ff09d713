#include "trainer/import/import_config.h"

#include <fstream>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/import/architecture.h"

namespace ddgan {
namespace {

using nlohmann::json;

constexpr char kDefaultPreset[] = "cifar10";
constexpr char kDatasetKey[] = "dataset";

// The text of --config: the flag itself if it is JSON, else the file it names.
absl::StatusOr<std::string> ConfigText(const std::string& flag) {
  if (absl::StartsWith(flag, "{")) return flag;
  std::ifstream file(flag, std::ios::binary);
  std::string text;
  // One byte over the limit is enough to see that it is passed.
  text.resize(kMaxJsonBytes + 1);
  if (!file.read(text.data(), static_cast<std::streamsize>(text.size())) &&
      !file.eof()) {
    return absl::NotFoundError(
        absl::StrCat("--config: ", flag, " cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxJsonBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--config: ", flag, " has more than ", kMaxJsonBytes, " bytes"));
  }
  return text;
}

// Takes the data set out of the text, since it is not part of the architecture.
absl::Status TakeDataset(std::string* text, std::string* dataset) {
  absl::StatusOr<json> object = ParseStrictJson(*text);
  // What is wrong with it otherwise, the parser of the rest says.
  if (!object.ok() || !object->is_object()) return absl::OkStatus();
  const auto found = object->find(kDatasetKey);
  if (found == object->end()) return absl::OkStatus();
  if (!found->is_string() || found->get_ref<const std::string&>().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config: dataset is ", Abbreviated(*found),
                     ", must be a string that is not empty"));
  }
  *dataset = found->get<std::string>();
  object->erase(found);
  *text = object->dump();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImportConfig> ReadImportConfig(const ImportOptions& options) {
  const std::string preset_name =
      options.preset.empty() ? kDefaultPreset : options.preset;
  const std::optional<ModelConfig> preset = PublishedPreset(preset_name);
  if (!preset.has_value()) {
    return absl::InternalError(
        absl::StrCat("--preset=", preset_name, " has no configuration"));
  }
  ImportConfig config = {*preset, ""};
  if (!options.config.empty()) {
    absl::StatusOr<std::string> text = ConfigText(options.config);
    if (!text.ok()) return text.status();
    if (absl::Status s = TakeDataset(&*text, &config.dataset); !s.ok())
      return s;
    absl::StatusOr<ModelConfig> parsed = ParseModelConfig(*text, *preset);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--config: ", parsed.status().message()));
    }
    config.model_config = *std::move(parsed);
  } else {
    config.dataset = options.preset;
  }
  if (!options.dataset.empty()) config.dataset = options.dataset;
  if (config.dataset.empty()) config.dataset = "unknown";
  return config;
}

}  // namespace ddgan
