// The 25-Gaussians toy problem as batches of points in the plane:
// equally likely modes on a 5 x 5 grid. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_GAUSSIAN_MIXTURE_H_
#define DDGAN_TRAINER_DATASET_GAUSSIAN_MIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "trainer/dataset/batch_source.h"

namespace ddgan {

// In the units of the literature, in which networks see them too. Neighbours
// are then 3.7 standard deviations of the first step's noise apart, and each
// step is left a part of the choice between them. Scaled to unit variance,
// where they are 1.3 apart, the discriminator had learnt nothing in 2,000
// steps.
inline constexpr int kGaussianModes = 25;
inline constexpr double kGaussianStd = 0.05;

struct PlanePoint {
  double x = 0;
  double y = 0;
};

// Mean of mode 0..24: {-4, -2, 0, 2, 4}^2, x first.
constexpr PlanePoint GaussianMean(int mode) {
  return {2.0 * (mode % 5) - 4, 2.0 * (mode / 5) - 4};
}

// Draws points by counter: a point is a function of (seed, step, row of the
// global batch) alone.
//
// Philox (engine/diffusion/philox.h) with key `seed` and counter (block, row,
// step, stream 0x100), a stream of no image's noise. Block 0 gives the two
// normals, the first word of block 1 gives the mode as floor(word * 25 / 2^32).
class GaussianMixture final : public BatchSource {
 public:
  static constexpr uint32_t kStream = 0x100;
  // Points called an epoch, for schedules that count in epochs.
  static constexpr size_t kEpochSize = 100000;

  struct Options {
    uint64_t seed = 0;
    int global_batch = 1;  // Points of a step. [1, 65536]
    // Which rows of the global batch this process gives, in this order. At
    // least one, each in [0, global_batch).
    std::vector<uint32_t> rows;
  };

  // InvalidArgument that names the option, its value and the allowed range.
  static absl::StatusOr<std::unique_ptr<GaussianMixture>> Create(
      const Options& options);

  // 2 channels of 1 x 1: x, then y.
  const ImageShape& shape() const override { return shape_; }
  size_t size() const override { return kEpochSize; }
  // OutOfRange unless 0 <= step < 2^32.
  absl::StatusOr<absl::Span<const float>> Batch(int64_t step) override;
  // Drawing is not waiting.
  double WaitSeconds() const override { return 0; }
  int64_t DamagedSamples() const override { return 0; }

 private:
  explicit GaussianMixture(const Options& options)
      : options_(options), batch_(2 * options.rows.size()) {}

  const ImageShape shape_ = {2, 1, 1};
  const Options options_;
  std::vector<float> batch_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_GAUSSIAN_MIXTURE_H_
