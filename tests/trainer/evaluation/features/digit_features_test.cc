#include "trainer/evaluation/features/digit_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/base/sha256.h"
#include "tests/fakes/temporary_folder.h"
#include "trainer/evaluation/digit_classifier.h"

namespace ddgan {
namespace {

constexpr size_t kPlane = 32 * 32;

// Squares of ten sizes, so that the classifier has something to learn.
class Squares : public ImageDataset {
 public:
  size_t size() const override { return 40; }
  const ImageShape& shape() const override { return shape_; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override {
    const size_t side = 3 + 3 * (index % 10);
    for (size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = i % 32 < side && i / 32 < side ? 200 : 0;
    }
    return absl::OkStatus();
  }
  std::vector<uint8_t> labels() const {
    std::vector<uint8_t> labels;
    for (size_t i = 0; i < size(); ++i) labels.push_back(i % 10);
    return labels;
  }

 private:
  const ImageShape shape_{1, 32, 32};
};

class DigitFeaturesTest : public ::testing::Test {
 protected:
  DigitFeaturesTest() {
    const Squares squares;
    DigitClassifier::Training training;
    training.epochs = 1;
    training.batch_size = 8;
    auto trained = DigitClassifier::Train(squares, squares.labels(), training,
                                          [](int64_t, int64_t) {});
    EXPECT_TRUE(trained.ok()) << trained.status();
    classifier_ = *std::move(trained);
    EXPECT_TRUE(classifier_->Save(path_).ok());
  }

  std::unique_ptr<FeatureNetwork> Open(int channels) {
    FeatureNetworkOptions options;
    options.name = "digits";
    options.digits_file = path_.string();
    options.channels = channels;
    auto network = OpenFeatureNetwork(options);
    EXPECT_TRUE(network.ok()) << network.status();
    return *std::move(network);
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "digits.st";
  std::unique_ptr<DigitClassifier> classifier_;
};

std::vector<uint8_t> Noise(size_t count) {
  std::mt19937 random(5);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

TEST_F(DigitFeaturesTest, AGrayPictureHasTheLastHiddenLayer) {
  const auto network = Open(1);
  EXPECT_EQ(network->name(), "digits");
  EXPECT_EQ(network->digest(), Sha256Hex(ReadBytes(path_)));
  EXPECT_EQ(network->digest(), classifier_->digest());
  EXPECT_FALSE(network->is_inception());
  EXPECT_EQ(network->feature_count(), 512);
  EXPECT_EQ(network->class_count(), 10);
  const std::vector<uint8_t> pixels = Noise(3 * kPlane);
  const auto rows = network->Run(pixels, {1, 32, 32});
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->features.size(), 3u * 512);
  const auto guesses = classifier_->Classify(pixels);
  ASSERT_TRUE(guesses.ok()) << guesses.status();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(rows->probabilities[i * 10 + (*guesses)[i].digit],
                (*guesses)[i].confidence, 1e-6);
    // Alone, to the bit.
    const auto alone = network->Run(
        absl::MakeConstSpan(&pixels[i * kPlane], kPlane), {1, 32, 32});
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_EQ(std::vector<float>(rows->features.begin() + i * 512,
                                 rows->features.begin() + (i + 1) * 512),
              alone->features);
  }
}

TEST_F(DigitFeaturesTest, AColourPictureIsThreeDigitsAndTheirTriple) {
  const auto gray = Open(1);
  const auto colour = Open(3);
  EXPECT_EQ(colour->feature_count(), 3 * 512);
  EXPECT_EQ(colour->class_count(), 1000);
  // One picture, interleaved, and its channels as three pictures.
  const std::vector<uint8_t> planes = Noise(3 * kPlane);
  std::vector<uint8_t> pixels(3 * kPlane);
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < kPlane; ++i) {
      pixels[i * 3 + c] = planes[c * kPlane + i];
    }
  }
  const auto one = colour->Run(pixels, {3, 32, 32});
  ASSERT_TRUE(one.ok()) << one.status();
  const auto three = gray->Run(planes, {1, 32, 32});
  ASSERT_TRUE(three.ok()) << three.status();
  ASSERT_EQ(one->features.size(), three->features.size());
  for (size_t i = 0; i < one->features.size(); ++i) {
    ASSERT_NEAR(one->features[i], three->features[i], 1e-5) << i;
  }
  const float* const p = three->probabilities.data();
  ASSERT_EQ(one->probabilities.size(), 1000u);
  double sum = 0;
  for (int triple = 0; triple < 1000; ++triple) {
    ASSERT_NEAR(
        one->probabilities[triple],
        p[triple / 100] * p[10 + triple / 10 % 10] * p[20 + triple % 10], 1e-6)
        << triple;
    sum += one->probabilities[triple];
  }
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(DigitFeaturesTest, RefusesOtherShapes) {
  EXPECT_EQ(Open(3)->Run(Noise(kPlane), {1, 32, 32}).status(),
            absl::InvalidArgumentError(
                "pictures are 1x32x32; the features 'digits' are of 3x32x32"));
  EXPECT_EQ(Open(1)->Run(Noise(784), {1, 28, 28}).status(),
            absl::InvalidArgumentError(
                "pictures are 1x28x28; the features 'digits' are of 1x32x32"));
  EXPECT_EQ(OpenDigitFeatures(path_, 2).status(),
            absl::InvalidArgumentError("channels is 2, must be 1 or 3"));
}

}  // namespace
}  // namespace ddgan
