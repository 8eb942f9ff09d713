#include "trainer/evaluation/digit_report.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// Interleaved [n, plane, channels] to [n, channels, plane].
std::vector<uint8_t> SplitChannels(absl::Span<const uint8_t> pictures,
                                   size_t plane, size_t channels) {
  std::vector<uint8_t> planes(pictures.size());
  const size_t picture = plane * channels;
  for (size_t first = 0; first < pictures.size(); first += picture) {
    for (size_t c = 0; c < channels; ++c) {
      for (size_t i = 0; i < plane; ++i) {
        planes[first + c * plane + i] = pictures[first + i * channels + c];
      }
    }
  }
  return planes;
}

}  // namespace

absl::StatusOr<DigitReport> ReportOnDigits(const DigitSamples& samples,
                                           const NextPictures& next,
                                           const ClassifyDigits& classify) {
  if (samples.channels != 1 && samples.channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("channels is ", samples.channels, ", must be 1 or 3"));
  }
  const size_t channels = static_cast<size_t>(samples.channels);
  const size_t plane = static_cast<size_t>(samples.side) * samples.side;
  DigitReport report;
  std::vector<uint16_t> labels;
  while (static_cast<int64_t>(labels.size()) < samples.samples) {
    const int64_t count = std::min(
        samples.batch, samples.samples - static_cast<int64_t>(labels.size()));
    const size_t digits = static_cast<size_t>(count) * channels;
    const absl::StatusOr<std::vector<uint8_t>> pictures = next(count);
    if (!pictures.ok()) return pictures.status();
    if (pictures->size() != digits * plane) {
      return absl::InternalError(absl::StrCat(pictures->size(), " bytes for ",
                                              count, " pictures of ",
                                              channels * plane));
    }
    const absl::StatusOr<std::vector<DigitGuess>> guesses =
        classify(SplitChannels(*pictures, plane, channels));
    if (!guesses.ok()) return guesses.status();
    if (guesses->size() != digits) {
      return absl::InternalError(
          absl::StrCat(guesses->size(), " guesses for ", digits, " digits"));
    }
    uint16_t label = 0;
    for (size_t i = 0; i < digits; ++i) {
      const DigitGuess& guess = (*guesses)[i];
      if (guess.digit >= kDigitCount) {
        return absl::InternalError(
            absl::StrCat("a guess is ", guess.digit, ", no digit"));
      }
      label = static_cast<uint16_t>(10 * label + guess.digit);
      if (i % channels == channels - 1) {
        labels.push_back(label);
        label = 0;
      }
      ++report.digit_share[guess.digit];
      report.mean_confidence += guess.confidence;
      report.share_below_50 += guess.confidence < 0.5f;
      report.share_above_90 += guess.confidence > 0.9f;
    }
  }
  const absl::StatusOr<DigitCoverage> coverage =
      channels == 1 ? CoverageOfDigits(labels)
                    : CoverageOfStackedDigits(labels);
  if (!coverage.ok()) return coverage.status();
  report.coverage = *coverage;
  const double total =
      static_cast<double>(labels.size()) * static_cast<double>(channels);
  for (double& share : report.digit_share) share /= total;
  report.mean_confidence /= total;
  report.share_below_50 /= total;
  report.share_above_90 /= total;
  return report;
}

}  // namespace ddgan
