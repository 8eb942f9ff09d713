// The images of a published version, as a server would make them. No LibTorch
// in this header.
#ifndef DDGAN_TRAINER_EVALUATION_MODEL_PICTURES_H_
#define DDGAN_TRAINER_EVALUATION_MODEL_PICTURES_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/api/generation.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/lanes/batch_runner.h"

namespace ddgan {

// The version in `folder`, MODEL_ROOT/MODEL/VERSION.
//   InvalidArgument  the path does not end in a model's name and a version
//   what ReadCheckpoint fails with
absl::StatusOr<Checkpoint> ReadVersionFolder(
    const std::filesystem::path& folder,
    const CheckpointNetworks& networks = {});

// Of the images that a model of `config` makes.
ImageShape ShapeOf(const ModelConfig& config);

// Images 0, 1, ... of one seed, on the CPU. Thread-compatible.
class ModelPictures {
 public:
  struct Options {
    uint64_t seed = 0;
    int threads = 1;     // Images made side by side. [1, 256]
    int max_batch = 32;  // Images of one call. [1, 256]
    // Instead of the version's own (engine/diffusion/update_rule.h):
    // "ancestral", "ddim:K" or "pc". Empty: its own.
    std::string sampler = {};
  };

  // Sets LibTorch to one thread in this process; images run side by side
  // instead. InvalidArgument for a sampler that the version's T does not have;
  // else fails as LoadModel and CreateCpuLaneRunner do.
  static absl::StatusOr<std::unique_ptr<ModelPictures>> Create(
      const Checkpoint& checkpoint, const Options& options);

  // The next image is number `index`: what an interrupted run goes on with.
  void StartAt(uint32_t index) { next_index_ = index; }

  // The next `count` images, [count, S, S, C]: interleaved rows, 8 bits. count
  // is in [1, max_batch]. Blocks. Fails as BatchRunner::RunStep does, and
  // with Internal if an image is not finite.
  absl::StatusOr<std::vector<uint8_t>> Next(int64_t count);

  // Index of the next one.
  int64_t images() const { return next_index_; }
  // Of the network for each.
  int evaluations_per_image() const { return evaluations_; }
  // Spent on them, without loading.
  absl::Duration device_time() const { return device_time_; }

 private:
  ModelPictures(const Options& options, int evaluations,
                std::shared_ptr<const Model> model,
                std::unique_ptr<BatchRunner> runner);

  const Options options_;
  const int evaluations_;
  const std::shared_ptr<const Model> model_;
  const std::unique_ptr<BatchRunner> runner_;
  uint32_t next_index_ = 0;
  absl::Duration device_time_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_MODEL_PICTURES_H_
