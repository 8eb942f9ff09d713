#include "trainer/options/training_config.h"

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/base/durable_file.h"
#include "engine/base/strict_json.h"
#include "engine/model/generator_plan.h"
#include "nlohmann/json.hpp"
#include "trainer/options/builtin_configs.h"
#include "trainer/options/trainer_option_table.h"

namespace ddgan {
namespace {

using nlohmann::json;

constexpr char kDescriptionKey[] = "description";
constexpr size_t kMaxConfigBytes = 64 << 10;

// Options on their way, and which of them somebody set.
struct Settings {
  TrainerOptions options;
  std::set<std::string> given;
  std::string description;
};

absl::Status ApplyConfig(const std::string& text, const std::string& source,
                         Settings* settings) {
  const absl::StatusOr<json> object = ParseStrictJson(text);
  if (!object.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": ", object.status().message()));
  }
  if (!object->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": is not a JSON object"));
  }
  const std::vector<Option> rows =
      TrainerOptionsAsTable(&settings->options).rows;
  for (const auto& [key, value] : object->items()) {
    const std::string label = absl::StrCat(source, ": ", Abbreviated(key));
    if (key == kDescriptionKey) {
      if (!value.is_string()) {
        return absl::InvalidArgumentError(absl::StrCat(
            label, " is ", Abbreviated(value), ", must be a string"));
      }
      settings->description = value.get<std::string>();
      continue;
    }
    const Option* const option = FindOption(rows, key);
    if (option == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, ": unknown key ", Abbreviated(key), NearMiss(rows, key, "")));
    }
    if (absl::Status status = SetOptionFromJson(*option, label, value);
        !status.ok())
      return status;
    settings->given.insert(key);
  }
  return absl::OkStatus();
}

absl::Status ApplyFlags(const std::vector<GivenOption>& flags,
                        Settings* settings) {
  const std::vector<Option> rows =
      TrainerOptionsAsTable(&settings->options).rows;
  for (const GivenOption& flag : flags) {
    if (absl::Status status = StoreOption(rows, flag); !status.ok())
      return status;
    settings->given.insert(flag.name);
  }
  return absl::OkStatus();
}

// What nobody set and the data set says.
void FollowDataset(Settings* settings) {
  TrainerOptions& options = settings->options;
  const auto is_free = [&](const char* name) {
    return settings->given.count(name) == 0;
  };
  if (is_free("model")) options.model = options.dataset;
  if (is_free("num_channels"))
    options.model_config.num_channels = options.dataset == "mnist" ? 1 : 3;
  if (is_free("networks"))
    options.networks = options.dataset == "25_gaussians" ? "toy_mlp" : "ncsnpp";
}

bool IsPath(const std::string& config) {
  return absl::StrContains(config, "/") || absl::EndsWith(config, ".json");
}

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxConfigBytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  // A folder can be opened, not read.
  if (!file.is_open() || file.bad()) return PathError(errno, "read", path);
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxConfigBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has more than ", kMaxConfigBytes, " bytes"));
  }
  return text;
}

absl::StatusOr<std::string> ReadConfig(const std::string& config) {
  if (IsPath(config)) return ReadConfigFile(config);
  std::vector<std::string> names;
  for (const BuiltinConfig& builtin : BuiltinConfigs()) {
    if (config == builtin.name) return std::string(builtin.json);
    names.push_back(builtin.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--config is ", Abbreviated(config),
                   ", must be one of: ", absl::StrJoin(names, ", "),
                   "; or the path of a file, with a '/' or .json at "
                   "its end"));
}

std::string ImagesText(const TrainerOptions& options) {
  if (options.networks == "toy_mlp")
    return absl::StrCat(options.dataset, " points");
  const ModelConfig& config = options.model_config;
  return absl::StrCat(options.dataset, " ", config.num_channels, "x",
                      config.image_size, "x", config.image_size);
}

// In millions. The fully connected networks are too small to matter.
std::string GeneratorText(const TrainerOptions& options) {
  if (options.networks == "toy_mlp") return "-";
  int64_t total = 0;
  for (const ParameterPlan& parameter :
       PlanGenerator(options.model_config).parameters) {
    int64_t values = 1;
    for (const int64_t size : parameter.shape) values *= size;
    total += values;
  }
  return absl::StrFormat("%.2f M", static_cast<double>(total) / 1e6);
}

}  // namespace

absl::StatusOr<TrainerOptions> ParseTrainingConfig(const std::string& json,
                                                   const std::string& source) {
  Settings settings;
  if (absl::Status status = ApplyConfig(json, source, &settings); !status.ok())
    return status;
  FollowDataset(&settings);
  return settings.options;
}

absl::StatusOr<TrainerOptions> ResolveOptions(
    const std::string& config, const std::vector<GivenOption>& flags) {
  Settings settings;
  if (!config.empty()) {
    const absl::StatusOr<std::string> text = ReadConfig(config);
    if (!text.ok()) return text.status();
    if (absl::Status status =
            ApplyConfig(*text, absl::StrCat("--config=", config), &settings);
        !status.ok())
      return status;
  }
  if (absl::Status status = ApplyFlags(flags, &settings); !status.ok())
    return status;
  FollowDataset(&settings);
  return settings.options;
}

absl::StatusOr<std::string> BuiltinConfigTable() {
  constexpr char kRow[] = "%-16s  %-21s  %2s  %9s  %s\n";
  std::string table =
      absl::StrFormat(kRow, "name", "images", "T", "generator", "description");
  for (const BuiltinConfig& builtin : BuiltinConfigs()) {
    Settings settings;
    if (absl::Status status =
            ApplyConfig(builtin.json, builtin.name, &settings);
        !status.ok())
      return status;
    FollowDataset(&settings);
    absl::StrAppendFormat(
        &table, kRow, builtin.name, ImagesText(settings.options),
        absl::StrCat(settings.options.model_config.num_timesteps),
        GeneratorText(settings.options), settings.description);
  }
  return table;
}

}  // namespace ddgan
