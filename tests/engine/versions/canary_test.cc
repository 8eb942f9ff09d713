#include "engine/versions/canary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace ddgan {
namespace {

using ::testing::HasSubstr;

constexpr ImageShape kShape = {3, 8, 8};
constexpr int kImages = 4;
constexpr size_t kPlane = 64;

// Channel c has mean 0.1 c and a standard deviation of about 0.3.
std::vector<float> Images(float scale = 1, float shift = 0) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> noise(-0.5f, 0.5f);
  std::vector<float> pixels;
  for (int image = 0; image < kImages; ++image) {
    for (int channel = 0; channel < kShape.channels; ++channel) {
      for (size_t i = 0; i < kPlane; ++i) {
        pixels.push_back(scale * noise(random) + 0.1f * channel + shift);
      }
    }
  }
  return pixels;
}

CanaryStatistics Measured(const std::vector<float>& pixels) {
  return MeasureCanary(pixels, kShape, kImages).value();
}

void ExpectRefused(const std::vector<float>& pixels, const char* why) {
  const absl::Status status = MeasureCanary(pixels, kShape, kImages).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(why));
}

TEST(Canary, StatisticsAreThoseOfEachChannel) {
  const CanaryStatistics statistics = Measured(Images());
  ASSERT_EQ(statistics.mean.size(), 3u);
  for (int channel = 0; channel < 3; ++channel) {
    EXPECT_NEAR(statistics.mean[channel], 0.1 * channel, 0.06);
    EXPECT_NEAR(statistics.deviation[channel], std::sqrt(1.0 / 12), 0.03);
  }
  // Exactly, where it can be told: two values, half of the pixels each.
  const std::vector<float> two = {-0.5f, 0.5f, 0.5f, -0.5f};
  const CanaryStatistics known = MeasureCanary(two, {1, 1, 2}, 2).value();
  EXPECT_DOUBLE_EQ(known.mean[0], 0);
  EXPECT_DOUBLE_EQ(known.deviation[0], 0.5);
}

TEST(Canary, ValuesThatAreNotFiniteAreRefused) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()}) {
    std::vector<float> pixels = Images();
    pixels[2 * 3 * kPlane + 70] = value;
    ExpectRefused(pixels, "image 2 has the value");
  }
}

TEST(Canary, SaturatedImagesAreRefusedAndMostlyBlackOnesAreNot) {
  std::vector<float> pixels = Images();
  for (float& pixel : pixels) pixel = pixel < 0 ? -1.0f : 1.0f;
  ExpectRefused(pixels, "saturated");
  // A digit: black but for a few strokes with soft edges.
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = i % 10 == 0 ? 0.9f - 0.01f * static_cast<float>(i % 7) : -1.0f;
  }
  EXPECT_TRUE(MeasureCanary(pixels, kShape, kImages).ok());
}

TEST(Canary, AConstantChannelIsRefused) {
  std::vector<float> pixels = Images();
  for (int image = 0; image < kImages; ++image) {
    for (size_t i = 0; i < kPlane; ++i) {
      pixels[(image * 3 + 1) * kPlane + i] = 0.25f;
    }
  }
  ExpectRefused(pixels, "channel 1 has one value everywhere, about 0.25");
}

TEST(Canary, ImagesThatAreAllTheSameAreRefused) {
  std::vector<float> pixels = Images();
  for (int image = 1; image < kImages; ++image) {
    std::copy_n(pixels.begin(), 3 * kPlane,
                pixels.begin() + image * 3 * kPlane);
  }
  ExpectRefused(pixels, "all 4 images are the same");
  pixels.back() += 0.1f;
  EXPECT_TRUE(MeasureCanary(pixels, kShape, kImages).ok());
}

TEST(Canary, BoundsAreHeldOnBothSidesOfEachStatistic) {
  const CanaryStatistics live = Measured(Images());
  const CanaryBounds bounds = {.max_mean_shift = 0.2, .max_deviation_ratio = 2};
  const auto compare = [&](float scale, float shift) {
    return CompareCanaries(live, Measured(Images(scale, shift)), bounds);
  };
  EXPECT_EQ(compare(1, 0), absl::OkStatus());
  EXPECT_EQ(compare(1, 0.19f), absl::OkStatus());
  EXPECT_EQ(compare(1.9f, 0), absl::OkStatus());
  EXPECT_EQ(compare(0.55f, 0), absl::OkStatus());
  for (const float shift : {0.21f, -0.21f}) {
    EXPECT_THAT(std::string(compare(1, shift).message()), HasSubstr("mean"));
  }
  for (const float scale : {2.1f, 0.45f}) {
    const absl::Status status = compare(scale, 0);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("deviation"));
  }
}

TEST(Canary, AnotherNumberOfChannelsIsRefused) {
  const CanaryStatistics gray =
      MeasureCanary(std::vector<float>{-0.5f, 0.5f, 0.5f, -0.5f}, {1, 1, 2}, 2)
          .value();
  EXPECT_EQ(CompareCanaries(Measured(Images()), gray, {}).code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace ddgan
