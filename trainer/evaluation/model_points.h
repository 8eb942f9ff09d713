// The points of a published version of 25-Gaussians' networks. No LibTorch in
// this header.
#ifndef DDGAN_TRAINER_EVALUATION_MODEL_POINTS_H_
#define DDGAN_TRAINER_EVALUATION_MODEL_POINTS_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/checkpoint/model_directory.h"

namespace ddgan {

// The version in `folder`, MODEL_ROOT/MODEL/VERSION, with as many checks as one
// for servers.
//   InvalidArgument  the path does not end in a model's name and a version, or
//                    the version is not one of points
//   what ReadCheckpoint fails with
absl::StatusOr<Checkpoint> ReadPointsVersion(
    const std::filesystem::path& folder);

// Points 0, 1, ... of one seed, on the CPU and LibTorch's threads.
// Thread-compatible.
class ModelPoints {
 public:
  struct Options {
    uint64_t seed = 0;
    // Instead of the version's own (engine/diffusion/update_rule.h):
    // "ancestral", "ddim:K" or "pc". Empty: its own.
    std::string sampler = {};
  };

  // `checkpoint` is of ReadPointsVersion. InvalidArgument for a sampler that
  // the version's T does not have; Internal for an error of LibTorch.
  static absl::StatusOr<std::unique_ptr<ModelPoints>> Create(
      const Checkpoint& checkpoint, const Options& options);

  ModelPoints(const ModelPoints&) = delete;
  ModelPoints& operator=(const ModelPoints&) = delete;
  ~ModelPoints();

  // The next `count`, [count, 2]: x, y, x, y, ... They do not depend, but for
  // rounding, on how many are asked for at a time. Blocks.
  //   InvalidArgument  count < 1, or more points than a seed has, 2^32
  //   Internal         LibTorch's error, or a point that is not finite
  absl::StatusOr<std::vector<float>> Next(int64_t count);

  // Made so far.
  int64_t points() const { return next_index_; }
  // Of the network for each.
  int evaluations_per_point() const;
  // Spent on them, without loading.
  absl::Duration device_time() const { return device_time_; }

 private:
  struct Sampler;
  ModelPoints(uint64_t seed, std::unique_ptr<Sampler> sampler);

  const uint64_t seed_;
  const std::unique_ptr<const Sampler> sampler_;
  int64_t next_index_ = 0;
  absl::Duration device_time_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_MODEL_POINTS_H_
