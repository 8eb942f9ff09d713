// ddgan-import: a published-layout .pth in, a model version out.
// Exit code 0 done, 1 failed, 2 wrong usage; a failure is one line on stderr.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/base/process_signals.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/import/architecture.h"
#include "trainer/import/checkpoint_import.h"
#include "trainer/import/import_options.h"

namespace ddgan {
namespace {

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

absl::StatusOr<ModelConfig> ReadModelConfig(const ImportOptions& options) {
  const std::optional<ModelConfig> preset = PublishedPreset(options.preset);
  if (!preset.has_value()) {
    return absl::InternalError(
        absl::StrCat("--preset=", options.preset, " has no configuration"));
  }
  if (options.config.empty()) return *preset;
  const absl::StatusOr<std::string> text = ConfigText(options.config);
  if (!text.ok()) return text.status();
  absl::StatusOr<ModelConfig> config = ParseModelConfig(*text, *preset);
  if (!config.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config: ", config.status().message()));
  }
  return config;
}

absl::StatusOr<ModelIdentity> Import(const ImportOptions& options) {
  const absl::StatusOr<ModelConfig> model_config = ReadModelConfig(options);
  if (!model_config.ok()) return model_config.status();
  CheckpointConfig config;
  config.model_config = *model_config;
  config.model = options.model;
  config.training_step = options.training_step;
  config.dataset = options.dataset.empty() ? options.preset : options.dataset;
  config.created =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  config.trainer_version = "ddgan-import " DDGAN_VERSION;
  return ImportCheckpoint(options.pth_file, options.model_root, options.version,
                          config);
}

int Fail(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "ddgan-import: %s\n",
               std::string(status.message()).c_str());
  return exit_code;
}

int Run(const std::vector<std::string>& arguments) {
  const absl::StatusOr<ImportOptions> options = ParseImportOptions(arguments);
  if (!options.ok()) return Fail(options.status(), 2);
  if (!options->text.empty()) {
    std::fputs(options->text.c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<ModelIdentity> identity = Import(*options);
  if (!identity.ok()) return Fail(identity.status(), 1);
  std::printf("published %s version %lld in %s, digest %s\n",
              identity->model.c_str(),
              static_cast<long long>(identity->version),
              options->model_root.c_str(), identity->digest.c_str());
  return 0;
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  ddgan::IgnoreBrokenPipes();
  return ddgan::Run(std::vector<std::string>(argv + 1, argv + argc));
}
