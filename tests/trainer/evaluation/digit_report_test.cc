#include "trainer/evaluation/digit_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ddgan {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;

constexpr int kSide = 2;
constexpr size_t kPlane = kSide * kSide;

// Every pixel of a channel is its digit, told apart by confidence as well.
absl::StatusOr<std::vector<DigitGuess>> ReadPixels(
    absl::Span<const uint8_t> planes) {
  std::vector<DigitGuess> guesses;
  for (size_t first = 0; first < planes.size(); first += kPlane) {
    EXPECT_THAT(planes.subspan(first, kPlane), Each(planes[first]));
    guesses.push_back({planes[first], planes[first] == 7 ? 0.25f : 0.95f});
  }
  return guesses;
}

// Pictures whose channels are filled with `digits`, one after the other.
class FilledPictures {
 public:
  FilledPictures(int channels, std::vector<uint8_t> digits)
      : channels_(channels), digits_(std::move(digits)) {}

  absl::StatusOr<std::vector<uint8_t>> Next(int64_t count) {
    counts.push_back(count);
    std::vector<uint8_t> pictures;
    for (int64_t k = 0; k < count; ++k, next_ += channels_) {
      for (size_t i = 0; i < kPlane * channels_; ++i)
        pictures.push_back(digits_.at(next_ + i % channels_));
    }
    return pictures;
  }

  std::vector<int64_t> counts;

 private:
  const size_t channels_;
  const std::vector<uint8_t> digits_;
  size_t next_ = 0;
};

absl::StatusOr<DigitReport> Report(const DigitSamples& samples,
                                   FilledPictures* pictures) {
  return ReportOnDigits(
      samples, [&](int64_t count) { return pictures->Next(count); },
      ReadPixels);
}

TEST(DigitReportTest, EachChannelIsADigitAndTheFirstIsTheHundreds) {
  FilledPictures pictures(3, {1, 2, 3, 1, 2, 3, 3, 2, 1, 0, 0, 7});
  const auto report = Report({4, 8, kSide, 3}, &pictures);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->coverage.samples, 4u);
  EXPECT_EQ(report->coverage.modes, 1000);
  EXPECT_EQ(report->coverage.modes_covered, 3);  // 123, 321, 7
  EXPECT_NEAR(report->coverage.kl,
              0.5 * std::log(500) + 2 * 0.25 * std::log(250), 1e-12);
  EXPECT_NEAR(report->digit_share[2], 3.0 / 12, 1e-12);
  EXPECT_NEAR(report->digit_share[7], 1.0 / 12, 1e-12);
  EXPECT_NEAR(report->share_below_50, 1.0 / 12, 1e-12);
  EXPECT_NEAR(report->share_above_90, 11.0 / 12, 1e-12);
  EXPECT_NEAR(report->mean_confidence, (11 * 0.95 + 0.25) / 12, 1e-6);
}

TEST(DigitReportTest, GrayPicturesHaveTenModes) {
  FilledPictures pictures(1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  const auto report = Report({10, 10, kSide, 1}, &pictures);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->coverage.modes, 10);
  EXPECT_EQ(report->coverage.modes_covered, 10);
  EXPECT_NEAR(report->coverage.kl, 0, 1e-12);
  EXPECT_THAT(report->digit_share, Each(DoubleNear(0.1, 1e-12)));
}

TEST(DigitReportTest, TakesFullBatchesAndTheRest) {
  FilledPictures pictures(1, std::vector<uint8_t>(7, 5));
  ASSERT_TRUE(Report({7, 3, kSide, 1}, &pictures).ok());
  EXPECT_THAT(pictures.counts, ElementsAre(3, 3, 1));
}

TEST(DigitReportTest, PassesErrorsOnAndCountsWhatItGets) {
  const auto failing = [](int64_t) -> absl::StatusOr<std::vector<uint8_t>> {
    return absl::DataLossError("torn");
  };
  const auto zeros = [](int64_t count) -> absl::StatusOr<std::vector<uint8_t>> {
    return std::vector<uint8_t>(count * kPlane);
  };
  const auto guessing = [](std::vector<DigitGuess> guesses) {
    return [=](absl::Span<const uint8_t>) {
      return absl::StatusOr<std::vector<DigitGuess>>(guesses);
    };
  };
  const DigitSamples gray = {2, 2, kSide, 1};
  EXPECT_EQ(ReportOnDigits(gray, failing, ReadPixels).status(),
            absl::DataLossError("torn"));
  EXPECT_EQ(ReportOnDigits({2, 2, kSide, 3}, zeros, ReadPixels).status(),
            absl::InternalError("8 bytes for 2 pictures of 12"));
  EXPECT_EQ(ReportOnDigits(gray, zeros, guessing({{1, 1}})).status(),
            absl::InternalError("1 guesses for 2 digits"));
  EXPECT_EQ(ReportOnDigits(gray, zeros, guessing({{1, 1}, {10, 1}})).status(),
            absl::InternalError("a guess is 10, no digit"));
  EXPECT_EQ(ReportOnDigits({2, 2, kSide, 2}, zeros, ReadPixels).status(),
            absl::InvalidArgumentError("channels is 2, must be 1 or 3"));
}

}  // namespace
}  // namespace ddgan
