#include "trainer/dataset/mnist_dataset.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/dataset/idx_file.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kTrainFile[] = "train-images-idx3-ubyte";

class MnistDatasetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<std::unique_ptr<MnistDataset>> LoadTrain(
      const std::string& bytes) {
    WriteFile(folder_ / kTrainFile, bytes);
    return MnistDataset::Load(folder_);
  }

  void ExpectError(const std::string& bytes, absl::StatusCode code,
                   const std::string& reason) {
    const absl::Status status = LoadTrain(bytes).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(kTrainFile), HasSubstr(reason)));
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("mnist_dataset_test_") +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(MnistDatasetTest, PadsDigitsWithTwoZerosOnEverySide) {
  const auto dataset = LoadTrain(DigitFile(3)).value();
  ASSERT_EQ(dataset->size(), 3u);
  ASSERT_EQ(dataset->shape(), (ImageShape{1, 32, 32}));
  for (int image = 0; image < 3; ++image) {
    // Filled beforehand: padding must be written, not assumed.
    std::vector<uint8_t> pixels(32 * 32, 0xff);
    ASSERT_TRUE(dataset->Image(image, absl::MakeSpan(pixels)).ok());
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        const bool padding = y < 2 || y >= 30 || x < 2 || x >= 30;
        ASSERT_EQ(pixels[y * 32 + x],
                  padding ? 0 : DigitPixel(image, y - 2, x - 2))
            << image << ' ' << y << ' ' << x;
      }
    }
  }
}

TEST_F(MnistDatasetTest, ReadsGzippedFilesAndPrefersPlainOnes) {
  WriteFile(folder_ / "train-images-idx3-ubyte.gz", Gzip(DigitFile(5)));
  EXPECT_EQ(MnistDataset::Load(folder_).value()->size(), 5u);
  EXPECT_EQ(LoadTrain(DigitFile(2)).value()->size(), 2u);
}

TEST_F(MnistDatasetTest, KeepsTheSplitsApart) {
  WriteFile(folder_ / kTrainFile, DigitFile(2));
  WriteFile(folder_ / "t10k-images-idx3-ubyte", DigitFile(4));
  EXPECT_EQ(
      MnistDataset::Load(folder_, MnistDataset::Split::kTrain).value()->size(),
      2u);
  EXPECT_EQ(
      MnistDataset::Load(folder_, MnistDataset::Split::kTest).value()->size(),
      4u);
}

TEST_F(MnistDatasetTest, ReadsMoreThanOneTurnOfTheFile) {
  // 5.5 MB: the loader reads 4 MiB at a time.
  const auto dataset = LoadTrain(Gzip(DigitFile(7000))).value();
  ASSERT_EQ(dataset->size(), 7000u);
  std::vector<uint8_t> pixels(32 * 32);
  ASSERT_TRUE(dataset->Image(6999, absl::MakeSpan(pixels)).ok());
  EXPECT_EQ(pixels[2 * 32 + 2], DigitPixel(6999, 0, 0));
  EXPECT_EQ(pixels[29 * 32 + 29], DigitPixel(6999, 27, 27));
}

TEST_F(MnistDatasetTest, SaysWhichFilesItLooksFor) {
  const absl::Status status = MnistDataset::Load(folder_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(folder_.string()), HasSubstr(kTrainFile),
                    HasSubstr("train-images-idx3-ubyte.gz")));
}

TEST_F(MnistDatasetTest, RefusesWhatIsNoFileOfDigits) {
  using absl::StatusCode;
  ExpectError("", StatusCode::kInvalidArgument, "0 bytes");
  ExpectError(DigitFile(1).substr(0, 15), StatusCode::kInvalidArgument,
              "15 bytes");
  ExpectError(IdxHeader(0x801, 1, 28, 28), StatusCode::kInvalidArgument,
              "a file of labels");
  ExpectError(std::string(100, 'x'), StatusCode::kInvalidArgument,
              "magic number 0x78787878");
  ExpectError(IdxHeader(0x803, 1, 32, 28), StatusCode::kInvalidArgument,
              "images of 32x28");
  ExpectError(IdxHeader(0x803, 1, 0, 0), StatusCode::kInvalidArgument,
              "images of 0x0");
  ExpectError(IdxHeader(0x803, 0, 28, 28), StatusCode::kInvalidArgument,
              "0 images");
}

TEST_F(MnistDatasetTest, BelievesNoHeaderThatClaimsMoreThanTheFileHolds) {
  using absl::StatusCode;
  ExpectError(IdxHeader(0x803, 0xffffffff, 28, 28),
              StatusCode::kInvalidArgument, "4294967295 images");
  ExpectError(IdxHeader(0x803, 1'000'000, 28, 28), StatusCode::kDataLoss,
              "holds 0 whole images");
  std::string cut = DigitFile(3);
  cut.pop_back();
  ExpectError(cut, StatusCode::kDataLoss, "holds 2 whole images");
}

TEST_F(MnistDatasetTest, RefusesTrailingBytesAndDamagedGzip) {
  using absl::StatusCode;
  ExpectError(DigitFile(2) + "x", StatusCode::kDataLoss, "more bytes follow");
  ExpectError(Gzip(DigitFile(2) + "x"), StatusCode::kDataLoss,
              "more bytes follow");
  const std::string packed = Gzip(DigitFile(2));
  ExpectError(packed + "x", StatusCode::kDataLoss, "other bytes follow");
  ExpectError(packed.substr(0, packed.size() - 1), StatusCode::kDataLoss,
              "end in the middle");
}

TEST_F(MnistDatasetTest, ReadsLabelsOfEitherSplit) {
  const std::string header = BigEndian32(0x801) + BigEndian32(3);
  WriteFile(folder_ / "train-labels-idx1-ubyte.gz",
            Gzip(header + std::string("\5\0\x9", 3)));
  WriteFile(folder_ / "t10k-labels-idx1-ubyte", header + "\1\2\3");
  EXPECT_THAT(LoadMnistLabels(folder_).value(), ElementsAre(5, 0, 9));
  EXPECT_THAT(LoadMnistLabels(folder_, MnistDataset::Split::kTest).value(),
              ElementsAre(1, 2, 3));
}

TEST_F(MnistDatasetTest, RefusesWhatIsNoFileOfLabels) {
  const auto expect_error = [&](const std::string& bytes, absl::StatusCode code,
                                const std::string& reason) {
    WriteFile(folder_ / "train-labels-idx1-ubyte", bytes);
    const absl::Status status = LoadMnistLabels(folder_).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
  };
  const std::string header = BigEndian32(0x801) + BigEndian32(3);
  using absl::StatusCode;
  EXPECT_TRUE(absl::IsNotFound(LoadMnistLabels(folder_).status()));
  expect_error("", StatusCode::kInvalidArgument, "0 bytes");
  expect_error(DigitFile(1), StatusCode::kInvalidArgument, "a file of images");
  expect_error(header + "\1\2\xa", StatusCode::kInvalidArgument,
               "label 2 is 10");
  expect_error(header + "\1\2", StatusCode::kDataLoss, "holds 2 whole labels");
  expect_error(header + "\1\2\3\4", StatusCode::kDataLoss, "more bytes follow");
}

TEST_F(MnistDatasetTest, RefusesAnIndexOrBufferThatDoesNotFit) {
  const auto dataset = LoadTrain(DigitFile(2)).value();
  std::vector<uint8_t> pixels(32 * 32, 7);
  EXPECT_EQ(dataset->Image(2, absl::MakeSpan(pixels)).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(dataset->Image(0, absl::MakeSpan(pixels).subspan(1)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(pixels, Each(7));
}

}  // namespace
}  // namespace ddgan
