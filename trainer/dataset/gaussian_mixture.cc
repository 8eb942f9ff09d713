#include "trainer/dataset/gaussian_mixture.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"
#include "engine/diffusion/philox.h"
#include "engine/kernels/normal_noise.h"

namespace ddgan {
namespace {

constexpr int kMaxGlobalBatch = 65536;

}  // namespace

absl::StatusOr<std::unique_ptr<GaussianMixture>> GaussianMixture::Create(
    const Options& options) {
  if (absl::Status status =
          CheckRange("global_batch", options.global_batch, 1, kMaxGlobalBatch);
      !status.ok()) {
    return status;
  }
  if (options.rows.empty())
    return absl::InvalidArgumentError("rows is empty, must name at least one");
  for (const uint32_t row : options.rows) {
    if (row >= static_cast<uint32_t>(options.global_batch)) {
      return absl::InvalidArgumentError(
          absl::StrCat("rows has ", row, ", must be in [0, ",
                       options.global_batch - 1, "]"));
    }
  }
  return std::unique_ptr<GaussianMixture>(new GaussianMixture(options));
}

absl::StatusOr<absl::Span<const float>> GaussianMixture::Batch(int64_t step) {
  if (step < 0 || step > std::numeric_limits<uint32_t>::max()) {
    return absl::OutOfRangeError(
        absl::StrCat("step is ", step, ", must be in [0, 2^32 - 1]"));
  }
  const uint32_t key[2] = {static_cast<uint32_t>(options_.seed),
                           static_cast<uint32_t>(options_.seed >> 32)};
  const auto step_word = static_cast<uint32_t>(step);
  float* out = batch_.data();
  for (const uint32_t row : options_.rows) {
    const Philox4 mode_words =
        Philox4x32_10({{1, row, step_word, kStream}}, key);
    const auto mode =
        static_cast<int>(uint64_t{mode_words.w[0]} * kGaussianModes >> 32);
    float normals[2];
    kernels::FillNormal(
        {options_.seed, row, step_word, static_cast<NoiseStream>(kStream)}, 2,
        normals);
    const PlanePoint mean = GaussianMean(mode);
    *out++ = static_cast<float>(mean.x + kGaussianStd * normals[0]);
    *out++ = static_cast<float>(mean.y + kGaussianStd * normals[1]);
  }
  return absl::MakeConstSpan(batch_);
}

}  // namespace ddgan
