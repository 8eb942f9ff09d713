#include "engine/versions/canary.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// A pixel closer than this to -1 or 1 counts as clipped.
constexpr float kClipMargin = 0.01f;
// Real pictures may be mostly black or white (a digit is, to some 90%), but
// even these have soft edges.
constexpr double kMinInsideShare = 0.002;
// Half a step of an 8-bit pixel.
constexpr double kMinDeviation = 1.0 / 255;

}  // namespace

absl::StatusOr<CanaryStatistics> MeasureCanary(absl::Span<const float> pixels,
                                               const ImageShape& shape,
                                               int images) {
  const size_t plane = size_t{1} * shape.height * shape.width;
  const size_t image = plane * shape.channels;
  if (pixels.size() != image * images || pixels.empty()) {
    return absl::InternalError(absl::StrCat("canary: ", pixels.size(),
                                            " pixels for ", images, " images"));
  }
  CanaryStatistics statistics;
  size_t inside = 0;
  for (int channel = 0; channel < shape.channels; ++channel) {
    double sum = 0, squares = 0;
    for (int i = 0; i < images; ++i) {
      const float* const values = &pixels[i * image + channel * plane];
      for (size_t p = 0; p < plane; ++p) {
        if (!std::isfinite(values[p])) {
          return absl::FailedPreconditionError(
              absl::StrCat("canary: image ", i, " has the value ", values[p]));
        }
        if (std::fabs(values[p]) < 1 - kClipMargin) ++inside;
        sum += values[p];
        squares += double{values[p]} * values[p];
      }
    }
    const double count = static_cast<double>(plane) * images;
    const double mean = sum / count;
    statistics.mean.push_back(mean);
    statistics.deviation.push_back(
        std::sqrt(std::max(0.0, squares / count - mean * mean)));
    if (statistics.deviation.back() < kMinDeviation) {
      return absl::FailedPreconditionError(
          absl::StrCat("canary: channel ", channel,
                       " has one value everywhere, about ", mean));
    }
  }
  const double inside_share = static_cast<double>(inside) / pixels.size();
  if (inside_share < kMinInsideShare) {
    return absl::FailedPreconditionError(absl::StrCat(
        "canary: the images are saturated: all but ", 100 * inside_share,
        "% of the values are within ", kClipMargin, " of -1 or 1"));
  }
  const auto equals_first = [&](int i) {
    return std::equal(
        pixels.begin(), pixels.begin() + image, pixels.begin() + i * image,
        [](float a, float b) { return std::fabs(a - b) < kMinDeviation; });
  };
  int same = 1;
  while (same < images && equals_first(same)) ++same;
  if (images > 1 && same == images) {
    return absl::FailedPreconditionError(
        absl::StrCat("canary: all ", images, " images are the same"));
  }
  return statistics;
}

absl::Status CompareCanaries(const CanaryStatistics& live,
                             const CanaryStatistics& next,
                             const CanaryBounds& bounds) {
  if (live.mean.size() != next.mean.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("canary: ", next.mean.size(),
                     " channels; the live version has ", live.mean.size()));
  }
  for (size_t channel = 0; channel < next.mean.size(); ++channel) {
    const double shift = std::fabs(next.mean[channel] - live.mean[channel]);
    if (!(shift <= bounds.max_mean_shift)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "canary: channel ", channel, " has the mean ", next.mean[channel],
          ", the live version's has ", live.mean[channel],
          "; allowed is a distance of ", bounds.max_mean_shift));
    }
    const double ratio = next.deviation[channel] / live.deviation[channel];
    if (!(std::max(ratio, 1 / ratio) <= bounds.max_deviation_ratio)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "canary: channel ", channel, " has the standard deviation ",
          next.deviation[channel], ", the live version's has ",
          live.deviation[channel], "; allowed is a factor of ",
          bounds.max_deviation_ratio));
    }
  }
  return absl::OkStatus();
}

}  // namespace ddgan
