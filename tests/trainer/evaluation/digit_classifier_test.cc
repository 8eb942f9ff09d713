#include "trainer/evaluation/digit_classifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/checkpoint/safetensors.h"
#include "tests/fakes/mutated_bytes.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr size_t kPlane = 32 * 32;

// Noise, and a bright square whose place tells the digit.
class SquareDigits : public ImageDataset {
 public:
  explicit SquareDigits(size_t size, ImageShape shape = {1, 32, 32})
      : size_(size), shape_(shape) {}

  static uint8_t Label(size_t index) {
    return static_cast<uint8_t>(index % 10);
  }
  std::vector<uint8_t> Labels() const {
    std::vector<uint8_t> labels;
    for (size_t i = 0; i < size_; ++i) labels.push_back(Label(i));
    return labels;
  }

  size_t size() const override { return size_; }
  const ImageShape& shape() const override { return shape_; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override {
    std::mt19937 random(static_cast<uint32_t>(index));
    const size_t column = Label(index) % 4, row = Label(index) / 4;
    for (size_t i = 0; i < pixels.size(); ++i) {
      const bool inside = i % 32 / 8 == column && i / 32 / 8 == row;
      pixels[i] = static_cast<uint8_t>(random() % 64 + (inside ? 150 : 0));
    }
    return absl::OkStatus();
  }

 private:
  const size_t size_;
  const ImageShape shape_;
};

std::unique_ptr<DigitClassifier> Trained(uint64_t seed = 0) {
  const SquareDigits digits(320);
  DigitClassifier::Training training;
  training.seed = seed;
  training.epochs = 4;
  training.batch_size = 32;
  auto classifier = DigitClassifier::Train(digits, digits.Labels(), training,
                                           [](int64_t, int64_t) {});
  EXPECT_TRUE(classifier.ok()) << classifier.status();
  return *std::move(classifier);
}

TEST(DigitClassifierTest, LearnsWhatCanBeToldApart) {
  const SquareDigits digits(320);
  std::vector<int64_t> seen;
  DigitClassifier::Training training;
  training.epochs = 4;
  training.batch_size = 32;
  const auto classifier = DigitClassifier::Train(
      digits, digits.Labels(), training, [&](int64_t done, int64_t steps) {
        EXPECT_EQ(steps, 40);
        seen.push_back(done);
      });
  ASSERT_TRUE(classifier.ok()) << classifier.status();
  EXPECT_EQ(seen.size(), 40u);
  EXPECT_EQ(seen.back(), 40);
  // More than it saw, and more than one batch.
  const SquareDigits others(600);
  EXPECT_EQ((*classifier)->Accuracy(others, others.Labels()).value(), 1);

  std::vector<uint8_t> pixels(3 * kPlane);
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        others.Image(400 + i, absl::MakeSpan(&pixels[i * kPlane], kPlane))
            .ok());
  }
  const auto guesses = (*classifier)->Classify(pixels);
  ASSERT_TRUE(guesses.ok()) << guesses.status();
  ASSERT_EQ(guesses->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*guesses)[i].digit, SquareDigits::Label(400 + i));
    EXPECT_GT((*guesses)[i].confidence, 0.5f);
    EXPECT_LE((*guesses)[i].confidence, 1.0f);
  }
}

TEST(DigitClassifierTest, IsAFunctionOfItsSeed) {
  const TemporaryFolder folder;
  ASSERT_TRUE(Trained(3)->Save(folder.path() / "a").ok());
  ASSERT_TRUE(Trained(3)->Save(folder.path() / "b").ok());
  ASSERT_TRUE(Trained(4)->Save(folder.path() / "c").ok());
  EXPECT_EQ(ReadBytes(folder.path() / "a"), ReadBytes(folder.path() / "b"));
  EXPECT_NE(ReadBytes(folder.path() / "a"), ReadBytes(folder.path() / "c"));
}

TEST(DigitClassifierTest, ComesBackFromItsFileAsItWas) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "digits.safetensors";
  const auto saved = Trained();
  ASSERT_TRUE(saved->Save(path).ok());
  const auto loaded = DigitClassifier::Load(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::vector<uint8_t> pixels(kPlane);
  ASSERT_TRUE(SquareDigits(10).Image(6, absl::MakeSpan(pixels)).ok());
  const DigitGuess before = saved->Classify(pixels)->front();
  const DigitGuess after = (*loaded)->Classify(pixels)->front();
  EXPECT_EQ(after.digit, before.digit);
  EXPECT_EQ(after.confidence, before.confidence);
}

TEST(DigitClassifierTest, ADamagedFileIsRefusedByName) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "digits.safetensors";
  ASSERT_TRUE(Trained()->Save(path).ok());
  const std::string whole = ReadBytes(path);
  const auto status_of = [&](const std::string& bytes) {
    WriteBytes(path, bytes);
    return DigitClassifier::Load(path).status();
  };
  ASSERT_TRUE(status_of(whole).ok());

  std::string flipped = whole;
  flipped[whole.size() - 5] = static_cast<char>(flipped[whole.size() - 5] ^ 1);
  EXPECT_EQ(status_of(flipped).code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status_of(flipped).message()),
              AllOf(HasSubstr(path.string()), HasSubstr("digest")));
  EXPECT_EQ(status_of("").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status_of(whole.substr(0, whole.size() / 2)).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(status_of(std::string((size_t{1} << 20) + 1, 'x')).code(),
            absl::StatusCode::kInvalidArgument);

  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const std::string mutated = MutatedBytes(whole, whole.size(), &random);
    if (mutated == whole) continue;
    // Damage that leaves the meaning alone (a space in the header) is none.
    EXPECT_THAT(status_of(mutated).code(),
                AnyOf(absl::StatusCode::kDataLoss, absl::StatusCode::kOk));
  }
}

TEST(DigitClassifierTest, AFileOfSomethingElseIsRefused) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "other.safetensors";
  const std::string bias(16 * 4, '\0');
  const std::vector<TensorView> tensors = {
      {"conv0.bias", DType::kFloat32, {16}, bias}};
  const auto message_of = [&](const std::map<std::string, std::string>& notes) {
    WriteBytes(path, *SerializeSafetensors(tensors, notes));
    const absl::Status status = DigitClassifier::Load(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    return std::string(status.message());
  };
  EXPECT_THAT(message_of({}), HasSubstr("ddgan digit classifier 1"));
  EXPECT_THAT(message_of({{"kind", "ddgan digit classifier 1"}}),
              HasSubstr("digest"));
  EXPECT_EQ(DigitClassifier::Load(folder.path() / "absent").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(DigitClassifier::Load("").ok());
  EXPECT_EQ(DigitClassifier::Load(folder.path()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(DigitClassifierTest, RefusesWhatDoesNotFit) {
  const SquareDigits digits(20);
  const auto message = [](const ImageDataset& pictures,
                          const std::vector<uint8_t>& labels,
                          const DigitClassifier::Training& training) {
    const absl::Status status =
        DigitClassifier::Train(pictures, labels, training,
                               [](int64_t, int64_t) {})
            .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(message(digits, std::vector<uint8_t>(19), {}),
            "19 labels for 20 pictures");
  EXPECT_EQ(message(digits, std::vector<uint8_t>(20, 10), {}),
            "labels has 10, must be in [0, 9]");
  EXPECT_EQ(message(SquareDigits(1, {3, 32, 32}), {0}, {}),
            "pictures have the shape 3x32x32, must be 1x32x32");
  EXPECT_EQ(message(digits, digits.Labels(), {.epochs = 0}),
            "epochs is 0, must be in [1, 100]");
  EXPECT_EQ(message(digits, digits.Labels(), {.batch_size = 0}),
            "batch_size is 0, must be in [1, 4096]");
  EXPECT_EQ(message(digits, digits.Labels(), {.learning_rate = 0}),
            "learning_rate is 0, must be in (0, 1]");
  EXPECT_EQ(Trained()->Classify(std::vector<uint8_t>(100)).status(),
            absl::InvalidArgumentError(
                "pixels has 100 bytes, must be a multiple of 1024"));
}

}  // namespace
}  // namespace ddgan
