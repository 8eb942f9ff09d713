#include "trainer/evaluation/features/feature_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

constexpr char kDigest[] =
    "29510a0738ec614ea4f8bc9013d0eda833053c5b1b0442a77e0aefda26d0bd81";

FeatureNetworkOptions Named(const std::string& name) {
  FeatureNetworkOptions options;
  options.name = name;
  return options;
}

std::unique_ptr<FeatureNetwork> EfficientNet() {
  auto network = OpenFeatureNetwork(Named("efficientnet-lite0"));
  EXPECT_TRUE(network.ok()) << network.status();
  return network.ok() ? *std::move(network) : nullptr;
}

std::vector<uint8_t> Noise(size_t count, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

PictureFeatures RowsOf(const FeatureNetwork& network,
                       const std::vector<uint8_t>& pixels,
                       const ImageShape& shape) {
  auto rows = network.Run(pixels, shape);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *std::move(rows) : PictureFeatures();
}

TEST(FeatureNetworkTest, EfficientNetSaysWhatItIs) {
  const auto network = EfficientNet();
  ASSERT_NE(network, nullptr);
  EXPECT_EQ(network->name(), "efficientnet-lite0");
  EXPECT_EQ(network->digest(), kDigest);
  EXPECT_FALSE(network->is_inception());
  EXPECT_EQ(network->feature_count(), 1280);
  EXPECT_EQ(network->class_count(), 1000);
  const PictureFeatures rows =
      RowsOf(*network, Noise(2 * 3072), ImageShape{3, 32, 32});
  EXPECT_EQ(rows.features.size(), 2u * 1280);
  ASSERT_EQ(rows.probabilities.size(), 2u * 1000);
  for (const int row : {0, 1}) {
    const auto begin = rows.probabilities.begin() + row * 1000;
    EXPECT_NEAR(std::accumulate(begin, begin + 1000, 0.0), 1, 1e-5);
  }
}

TEST(FeatureNetworkTest, APicturesBitsDependOnNoOtherPicture) {
  const auto network = EfficientNet();
  ASSERT_NE(network, nullptr);
  const ImageShape shape{3, 32, 32};
  const std::vector<uint8_t> pixels = Noise(5 * 3072);
  const PictureFeatures together = RowsOf(*network, pixels, shape);
  const PictureFeatures alone = RowsOf(
      *network, {pixels.begin() + 3 * 3072, pixels.begin() + 4 * 3072}, shape);
  ASSERT_EQ(together.features.size(), 5u * 1280);
  EXPECT_EQ(std::vector<float>(together.features.begin() + 3 * 1280,
                               together.features.begin() + 4 * 1280),
            alone.features);
  EXPECT_EQ(std::vector<float>(together.probabilities.begin() + 3000,
                               together.probabilities.begin() + 4000),
            alone.probabilities);
  // Nor on the thread that asks, with others beside it.
  std::vector<PictureFeatures> rows(2);
  std::thread other([&] { rows[0] = RowsOf(*network, pixels, shape); });
  rows[1] = RowsOf(*network, pixels, shape);
  other.join();
  EXPECT_EQ(rows[0].features, together.features);
  EXPECT_EQ(rows[1].features, together.features);
}

TEST(FeatureNetworkTest, AGrayPictureIsOneOfThreeEqualChannels) {
  const auto network = EfficientNet();
  ASSERT_NE(network, nullptr);
  const std::vector<uint8_t> gray = Noise(1024);
  std::vector<uint8_t> colour;
  for (const uint8_t value : gray) colour.insert(colour.end(), 3, value);
  EXPECT_EQ(RowsOf(*network, gray, {1, 32, 32}).features,
            RowsOf(*network, colour, {3, 32, 32}).features);
}

TEST(FeatureNetworkTest, RefusesWhatAreNoPictures) {
  const auto network = EfficientNet();
  ASSERT_NE(network, nullptr);
  const auto message = [&](size_t bytes, const ImageShape& shape) {
    const absl::Status status = network->Run(Noise(bytes), shape).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(message(0, {3, 32, 32}),
            "pixels has 0 bytes, must be a multiple of 3072 and not 0");
  EXPECT_EQ(message(3071, {3, 32, 32}),
            "pixels has 3071 bytes, must be a multiple of 3072 and not 0");
  for (const ImageShape& shape :
       {ImageShape{2, 32, 32}, ImageShape{3, 32, 16}, ImageShape{3, 0, 0},
        ImageShape{3, -4, -4}, ImageShape{3, 1 << 20, 1 << 20}}) {
    EXPECT_THAT(message(3072, shape), HasSubstr("must be square"));
  }
}

TEST(FeatureNetworkTest, RefusesNamesAndDigestsThatAreNone) {
  const auto status = [](const std::string& name, const std::string& digest) {
    FeatureNetworkOptions options = Named(name);
    options.digest = digest;
    return OpenFeatureNetwork(options).status();
  };
  EXPECT_EQ(status("inception", ""),
            absl::InvalidArgumentError(
                "the features are 'inception', must be efficientnet-lite0, "
                "digits, or a TorchScript file, which ends in .pt"));
  EXPECT_EQ(status("efficientnet-lite0", "12ab"),
            absl::InvalidArgumentError(
                "the features' digest is '12ab', must be a SHA-256: 64 "
                "hexadecimal digits"));
  EXPECT_EQ(status("efficientnet-lite0", std::string(64, '0')).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(status("efficientnet-lite0", kDigest).ok());
}

TEST(FeatureNetworkTest, AMissingFileIsNotFound) {
  const TemporaryFolder folder;
  FeatureNetworkOptions digits = Named("digits");
  digits.digits_file = (folder.path() / "digits.st").string();
  EXPECT_EQ(OpenFeatureNetwork(digits).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(OpenFeatureNetwork(Named((folder.path() / "x.pt").string()))
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace ddgan
