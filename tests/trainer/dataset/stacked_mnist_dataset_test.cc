#include "trainer/dataset/stacked_mnist_dataset.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/idx_file.h"

namespace ddgan {
namespace {

constexpr int kDigits = 40;

class StackedMnistDatasetTest : public ::testing::Test {
 protected:
  StackedMnistDatasetTest() {
    WriteBytes(folder_.path() / "train-images-idx3-ubyte", DigitFile(kDigits));
  }

  std::unique_ptr<StackedMnistDataset> Load(uint64_t seed) {
    return StackedMnistDataset::Load(folder_.path(), seed).value();
  }

  // The digit that a channel shows, by its first pixel.
  static int DigitOf(const std::vector<uint8_t>& pixels, int channel) {
    for (int digit = 0; digit < kDigits; ++digit) {
      if (pixels[(2 * 32 + 2) * 3 + channel] == DigitPixel(digit, 0, 0)) {
        return digit;
      }
    }
    return -1;
  }

  const TemporaryFolder folder_;
};

TEST_F(StackedMnistDatasetTest, EachChannelHasEachDigitOnceInEachHalf) {
  const auto dataset = Load(1);
  ASSERT_EQ(dataset->size(), size_t{2} * kDigits);
  ASSERT_EQ(dataset->shape(), (ImageShape{3, 32, 32}));
  std::vector<uint8_t> pixels(3 * 32 * 32);
  std::vector<std::vector<int>> orders;
  for (int half = 0; half < 2; ++half) {
    for (int channel = 0; channel < 3; ++channel) {
      std::vector<int> order;
      for (int i = 0; i < kDigits; ++i) {
        ASSERT_TRUE(
            dataset->Image(half * kDigits + i, absl::MakeSpan(pixels)).ok());
        order.push_back(DigitOf(pixels, channel));
      }
      orders.push_back(order);
      std::sort(order.begin(), order.end());
      for (int i = 0; i < kDigits; ++i) ASSERT_EQ(order[i], i);
    }
  }
  // Six independent permutations.
  std::sort(orders.begin(), orders.end());
  EXPECT_EQ(std::unique(orders.begin(), orders.end()), orders.end());
}

TEST_F(StackedMnistDatasetTest, IsAFunctionOfTheSeed) {
  std::vector<uint8_t> a(3 * 32 * 32), b = a, c = a;
  ASSERT_TRUE(Load(1)->Image(5, absl::MakeSpan(a)).ok());
  ASSERT_TRUE(Load(1)->Image(5, absl::MakeSpan(b)).ok());
  ASSERT_TRUE(Load(2)->Image(5, absl::MakeSpan(c)).ok());
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST_F(StackedMnistDatasetTest, LabelsAreTheThreeDigits) {
  const auto dataset = Load(3);
  std::vector<uint8_t> labels;
  for (int i = 0; i < kDigits; ++i) {
    labels.push_back(static_cast<uint8_t>(i * 7 % 10));
  }
  std::vector<uint8_t> pixels(3 * 32 * 32);
  for (size_t i = 0; i < dataset->size(); ++i) {
    ASSERT_TRUE(dataset->Image(i, absl::MakeSpan(pixels)).ok());
    EXPECT_EQ(dataset->Label(i, labels), 100 * labels[DigitOf(pixels, 0)] +
                                             10 * labels[DigitOf(pixels, 1)] +
                                             labels[DigitOf(pixels, 2)]);
  }
}

TEST_F(StackedMnistDatasetTest, RefusesAnIndexOrBufferThatDoesNotFit) {
  const auto dataset = Load(1);
  std::vector<uint8_t> pixels(3 * 32 * 32);
  EXPECT_TRUE(
      absl::IsOutOfRange(dataset->Image(2 * kDigits, absl::MakeSpan(pixels))));
  EXPECT_TRUE(absl::IsInvalidArgument(
      dataset->Image(0, absl::MakeSpan(pixels).subspan(1))));
}

TEST_F(StackedMnistDatasetTest, FailsAsMnistDoes) {
  EXPECT_TRUE(
      absl::IsNotFound(StackedMnistDataset::Load("/nowhere", 1).status()));
}

}  // namespace
}  // namespace ddgan
