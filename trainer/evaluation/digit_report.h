// What a classifier's guesses say about a model of digits: pictures in, figures
// out. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_DIGIT_REPORT_H_
#define DDGAN_TRAINER_EVALUATION_DIGIT_REPORT_H_

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/evaluation/mode_coverage.h"

namespace ddgan {

inline constexpr int kDigitCount = 10;

struct DigitGuess {
  uint8_t digit = 0;     // 0 to 9, the most probable.
  float confidence = 0;  // Its probability, as the classifier has it. [0.1, 1]
};

struct DigitReport {
  DigitCoverage coverage;
  // Over every digit, so over three per picture of Stacked-MNIST.
  std::array<double, kDigitCount> digit_share{};  // Each in [0, 1]; sum 1.
  double mean_confidence = 0;
  double share_below_50 = 0;  // Of confidence below 0.5.
  double share_above_90 = 0;  // Of confidence above 0.9.
};

// The next `count` pictures, [count, S, S, channels]: interleaved rows, 8 bits.
using NextPictures =
    std::function<absl::StatusOr<std::vector<uint8_t>>(int64_t count)>;

// [n, S, S] to n guesses.
using ClassifyDigits = std::function<absl::StatusOr<std::vector<DigitGuess>>(
    absl::Span<const uint8_t>)>;

// What to look at: `samples` pictures of `side` x `side` pixels, `batch` at a
// time, the last time the rest. All are at least 1.
struct DigitSamples {
  int64_t samples;
  int64_t batch;
  int side;
  // 1: a picture is a digit. 3: each channel is one; the first is the hundreds.
  int channels;
};

// Takes pictures, splits their channels, has each classified and adds up.
// Memory is that of one batch and 2 bytes per sample.
//   InvalidArgument  channels is not 1 or 3
//   Internal         pictures or guesses are not as many as asked for
//   what `next` and `classify` fail with
absl::StatusOr<DigitReport> ReportOnDigits(const DigitSamples& samples,
                                           const NextPictures& next,
                                           const ClassifyDigits& classify);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_DIGIT_REPORT_H_
