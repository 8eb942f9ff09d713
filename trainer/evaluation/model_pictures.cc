#include "trainer/evaluation/model_pictures.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/checkpoint/version_path.h"
#include "engine/lanes/cpu/cpu_lane_runner.h"

namespace ddgan {

absl::StatusOr<Checkpoint> ReadVersionFolder(
    const std::filesystem::path& folder, const CheckpointNetworks& networks) {
  const std::optional<VersionPath> path = ParseVersionPath(folder);
  if (!path.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--model is '", folder.string(),
                     "', must end in MODEL/VERSION, a name and a number"));
  }
  absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(
      path->model_root, path->model, path->version, NeverStop, networks);
  if (!checkpoint.ok()) {
    return absl::Status(checkpoint.status().code(),
                        absl::StrCat("--model is '", folder.string(),
                                     "': ", checkpoint.status().message()));
  }
  return checkpoint;
}

ImageShape ShapeOf(const ModelConfig& config) {
  return {config.num_channels, config.image_size, config.image_size};
}

absl::StatusOr<std::unique_ptr<ModelPictures>> ModelPictures::Create(
    const Checkpoint& checkpoint, const Options& options) {
  if (!options.sampler.empty()) {
    Checkpoint with_sampler = checkpoint;
    with_sampler.config.model_config.sampler = options.sampler;
    if (absl::Status status =
            ValidateModelConfig(with_sampler.config.model_config);
        !status.ok()) {
      return status;
    }
    Options rest = options;
    rest.sampler.clear();
    return Create(with_sampler, rest);
  }
  CpuLaneRunnerOptions runner_options;
  runner_options.threads = options.threads;
  runner_options.max_batch_size = options.max_batch;
  absl::StatusOr<std::unique_ptr<BatchRunner>> runner =
      CreateCpuLaneRunner(runner_options);
  if (!runner.ok()) return runner.status();
  // After the runner, which sets LibTorch to one thread.
  absl::StatusOr<LoadedModel> loaded =
      LoadModel(checkpoint, ModelUse::kCpuLanes);
  if (!loaded.ok()) return loaded.status();
  return std::unique_ptr<ModelPictures>(new ModelPictures(
      options, EvaluationsPerImage(checkpoint.config.model_config),
      std::move(loaded->model), *std::move(runner)));
}

ModelPictures::ModelPictures(const Options& options, int evaluations,
                             std::shared_ptr<const Model> model,
                             std::unique_ptr<BatchRunner> runner)
    : options_(options),
      evaluations_(evaluations),
      model_(std::move(model)),
      runner_(std::move(runner)) {}

absl::StatusOr<std::vector<uint8_t>> ModelPictures::Next(int64_t count) {
  std::vector<StepRow> rows(static_cast<size_t>(count));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].id = i + 1;
    rows[i].seed = options_.seed;
    rows[i].image_index = next_index_ + static_cast<uint32_t>(i);
  }
  std::vector<uint8_t> pictures;
  for (int step = evaluations_ - 1; step >= 0; --step) {
    for (StepRow& row : rows) row.step = step;
    const absl::StatusOr<StepOutcome*> outcome = runner_->RunStep(model_, rows);
    if (!outcome.ok()) return outcome.status();
    device_time_ += (*outcome)->device_time;
    if (!(*outcome)->not_finite.empty()) {
      return absl::InternalError(absl::StrCat(
          "the generator's output is not finite at seed ", options_.seed,
          ", index ", rows[(*outcome)->not_finite.front()].image_index,
          ", step ", step));
    }
    // Row by row, so in order of the index.
    for (const FinishedImage& image : (*outcome)->finished) {
      const absl::Span<const uint8_t> pixels = image.pixels;
      pictures.insert(pictures.end(), pixels.begin(), pixels.end());
    }
  }
  next_index_ += static_cast<uint32_t>(count);
  return pictures;
}

}  // namespace ddgan
