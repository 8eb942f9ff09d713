#include "trainer/run/initial_version.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/parameter_loader.h"
#include "engine/checkpoint/version_path.h"

namespace ddgan {
namespace {

absl::Status Refuse(const TrainerOptions& options, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("--init_from is '", options.init_from, "': ", why));
}

absl::StatusOr<VersionPath> PathOf(const TrainerOptions& options) {
  std::optional<VersionPath> path = ParseVersionPath(options.init_from);
  if (!path) return Refuse(options, "must end in <model>/<version>");
  return *std::move(path);
}

}  // namespace

absl::StatusOr<int64_t> InitialVersion(const TrainerOptions& options) {
  if (options.init_from.empty()) return 0;
  const absl::StatusOr<VersionPath> path = PathOf(options);
  if (!path.ok()) return path.status();
  return path->version;
}

absl::Status LoadInitialVersion(const TrainerOptions& options,
                                TrainingStep& training) {
  const absl::StatusOr<VersionPath> path = PathOf(options);
  if (!path.ok()) return path.status();
  const absl::StatusOr<Checkpoint> checkpoint =
      ReadCheckpoint(path->model_root, path->model, path->version);
  if (!checkpoint.ok()) return checkpoint.status();
  ModelConfig wanted = options.model_config;
  wanted.objective = checkpoint->config.model_config.objective;
  wanted.sampler = checkpoint->config.model_config.sampler;
  if (checkpoint->config.model_config != wanted) {
    return Refuse(options,
                  "its architecture is not the one that the flags ask for");
  }
  const absl::StatusOr<Parameters> weights = LoadParameters(*checkpoint);
  if (!weights.ok()) return weights.status();
  const FlatParameters& generator = training.generator_parameters();
  const Parameters parts = generator.Split(generator.values());
  for (size_t i = 0; i < parts.size(); ++i) parts[i].copy_((*weights)[i]);
  return absl::OkStatus();
}

}  // namespace ddgan
