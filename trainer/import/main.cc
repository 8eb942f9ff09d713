// ddgan-import: a published-layout checkpoint in, a model version out.
// Exit code 0 done, 1 failed, 2 wrong usage; a failure is one line on stderr.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/base/process_signals.h"
#include "engine/base/standard_output.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/import/checkpoint_import.h"
#include "trainer/import/import_config.h"
#include "trainer/import/import_options.h"

namespace ddgan {
namespace {

absl::StatusOr<ImportedVersion> Import(const ImportOptions& options) {
  const absl::StatusOr<ImportConfig> told = ReadImportConfig(options);
  if (!told.ok()) return told.status();
  CheckpointConfig config;
  config.model_config = told->model_config;
  config.model = options.model;
  config.training_step = options.training_step;
  config.dataset = told->dataset;
  config.created =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  config.trainer_version = "ddgan-import " DDGAN_VERSION;
  return ImportCheckpoint(options.file, options.model_root, options.version,
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
    return EndOfOutput("ddgan-import");
  }
  const absl::StatusOr<ImportedVersion> imported = Import(*options);
  if (!imported.ok()) return Fail(imported.status(), 1);
  for (const std::string& remark : imported->remarks) {
    std::printf("%s: %s\n", options->file.c_str(), remark.c_str());
  }
  const ModelIdentity& identity = imported->identity;
  std::printf("published %s version %lld in %s, digest %s\n",
              identity.model.c_str(), static_cast<long long>(identity.version),
              options->model_root.c_str(), identity.digest.c_str());
  return EndOfOutput("ddgan-import");
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  ddgan::IgnoreBrokenPipes();
  return ddgan::Run(std::vector<std::string>(argv + 1, argv + argc));
}
