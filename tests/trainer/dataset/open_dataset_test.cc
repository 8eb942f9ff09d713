#include "trainer/dataset/open_dataset.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/cifar10_file.h"
#include "tests/trainer/dataset/idx_file.h"
#include "tests/trainer/dataset/jpeg_file.h"
#include "tests/trainer/dataset/lmdb_file.h"
#include "tests/trainer/dataset/tar_file.h"
#include "tests/trainer/dataset/webp_file.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::HasSubstr;

// `level` everywhere.
std::string PngOf(int channels, int side, int level) {
  const std::vector<uint8_t> pixels(size_t{1} * channels * side * side,
                                    static_cast<uint8_t>(level));
  return EncodePng(pixels, {channels, side, side}).value();
}

class OpenDatasetTest : public ::testing::Test {
 protected:
  DatasetSpec Spec(const std::string& kind, int image_size, int num_channels,
                   int64_t limit = 0) const {
    return {.kind = kind,
            .path = folder_.path().string(),
            .image_size = image_size,
            .num_channels = num_channels,
            .limit = limit,
            .seed = 1};
  }

  void Write(const std::string& name, const std::string& bytes) {
    WriteBytes(folder_.path() / name, bytes);
  }

  static std::vector<uint8_t> ImageOf(const ImageDataset& dataset,
                                      size_t index) {
    const ImageShape& shape = dataset.shape();
    std::vector<uint8_t> pixels(shape.numel());
    const absl::Status status = dataset.Image(index, absl::MakeSpan(pixels));
    EXPECT_TRUE(status.ok()) << status;
    return pixels;
  }

  static void ExpectError(const DatasetSpec& spec, absl::StatusCode code,
                          const std::string& reason) {
    const absl::Status status = OpenDataset(spec).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
  }

  const TemporaryFolder folder_;
};

TEST_F(OpenDatasetTest, OpensSetsOfOneShape) {
  Write("train-images-idx3-ubyte", DigitFile(3));
  WriteCifar10Train(folder_.path(), 2);
  EXPECT_EQ(OpenDataset(Spec("mnist", 32, 1)).value()->size(), 3u);
  EXPECT_EQ(OpenDataset(Spec("stacked_mnist", 32, 3)).value()->size(), 6u);
  EXPECT_EQ(OpenDataset(Spec("cifar10", 32, 3)).value()->size(), 10u);
}

TEST_F(OpenDatasetTest, RefusesAnotherShapeThanTheSets) {
  Write("train-images-idx3-ubyte", DigitFile(3));
  ExpectError(Spec("mnist", 32, 3), absl::StatusCode::kInvalidArgument,
              "the images of mnist are 32x32 with 1 channels; the model's are "
              "32x32 with 3");
  ExpectError(Spec("mnist", 28, 1), absl::StatusCode::kInvalidArgument,
              "the model's are 28x28 with 1");
}

TEST_F(OpenDatasetTest, OpensFoldersAndDecodesToTheModelsSize) {
  Write("a.png", PngOf(3, 16, 10));
  Write("b.png", PngOf(3, 7, 20));
  Write("c.jpg", JpegFile(Gradient(3, 40, 50)));
  const auto dataset = OpenDataset(Spec("image_folder", 8, 3)).value();
  ASSERT_EQ(dataset->size(), 3u);
  EXPECT_EQ(dataset->shape(), (ImageShape{3, 8, 8}));
  EXPECT_THAT(ImageOf(*dataset, 0), Each(10));
  EXPECT_THAT(ImageOf(*dataset, 1), Each(20));
  EXPECT_EQ(ImageOf(*dataset, 2), ImageOf(*dataset, 2));
}

TEST_F(OpenDatasetTest, OpensGrayFoldersForGrayModels) {
  Write("a.png", PngOf(1, 16, 10));
  EXPECT_THAT(ImageOf(*OpenDataset(Spec("image_folder", 8, 1)).value(), 0),
              Each(10));
}

TEST_F(OpenDatasetTest, OpensArchives) {
  const fs::path tar = folder_.path() / "set.tar.gz";
  WriteBytes(tar, Gzip(TarFile("x/a.png", PngOf(3, 8, 10)) + TarEnd()));
  DatasetSpec spec = Spec("image_folder", 8, 3);
  spec.path = tar.string();
  EXPECT_THAT(ImageOf(*OpenDataset(spec).value(), 0), Each(10));
}

TEST_F(OpenDatasetTest, OpensLmdbOfEncodedAndOfRawImages) {
  std::string raw;
  for (int i = 0; i < 3 * 8 * 8; ++i) raw.push_back(static_cast<char>(i));
  WriteLmdb(folder_.path(), {{"0", PngOf(3, 8, 10)},
                             {"1", raw},
                             {"2", raw + "x"},
                             {"3", JpegFile(Gradient(3, 9, 9))}});
  const auto dataset = OpenDataset(Spec("lmdb", 8, 3)).value();
  ASSERT_EQ(dataset->size(), 4u);
  EXPECT_THAT(ImageOf(*dataset, 0), Each(10));
  EXPECT_EQ(ImageOf(*dataset, 1), std::vector<uint8_t>(raw.begin(), raw.end()));
  std::vector<uint8_t> pixels(3 * 8 * 8);
  const absl::Status status = dataset->Image(2, absl::MakeSpan(pixels));
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("key 2: these 193 bytes"));
  EXPECT_EQ(ImageOf(*dataset, 3).size(), 3u * 8 * 8);
}

TEST_F(OpenDatasetTest, TakesTheFirstOfTheSet) {
  WriteCifar10Train(folder_.path(), 2);
  const auto dataset = OpenDataset(Spec("cifar10", 32, 3, 4)).value();
  EXPECT_EQ(dataset->size(), 4u);
  std::vector<uint8_t> pixels(3 * 32 * 32);
  EXPECT_TRUE(dataset->Image(3, absl::MakeSpan(pixels)).ok());
  EXPECT_TRUE(absl::IsOutOfRange(dataset->Image(4, absl::MakeSpan(pixels))));
  EXPECT_EQ(OpenDataset(Spec("cifar10", 32, 3, 11)).value()->size(), 10u);
}

TEST_F(OpenDatasetTest, LooksAtAThousandImagesForOneThatCanBeUsed) {
  constexpr int kDamaged = 998;
  for (int i = 0; i < kDamaged; ++i)
    Write(std::to_string(1000 + i) + ".png", "damaged");
  Write("9998.png", PngOf(1, 8, 0));
  Write("9999.png", PngOf(3, 8, 10));
  {
    const auto dataset = OpenDataset(Spec("image_folder", 8, 3)).value();
    EXPECT_THAT(ImageOf(*dataset, kDamaged + 1), Each(10));
    std::vector<uint8_t> pixels(3 * 8 * 8);
    EXPECT_TRUE(absl::IsFailedPrecondition(
        dataset->Image(kDamaged, absl::MakeSpan(pixels))));
  }
  // Then the sound one is number 1,001.
  Write("0999.png", "damaged");
  ExpectError(Spec("image_folder", 8, 3), absl::StatusCode::kDataLoss,
              "none of the first 1000 images can be used; ");
}

TEST_F(OpenDatasetTest, ReportsThatNoImageCanBeRead) {
  Write("a.png", "damaged");
  Write("b.jpg", PngOf(1, 8, 0));
  ExpectError(Spec("image_folder", 8, 3), absl::StatusCode::kDataLoss,
              "none of the first 2 images can be used");
  ExpectError(Spec("image_folder", 8, 3), absl::StatusCode::kDataLoss,
              "a.png: these 7 bytes");
}

TEST_F(OpenDatasetTest, SaysThatTheSetIsGrayOrNot) {
  Write("a.png", PngOf(1, 8, 0));
  Write("b.png", PngOf(1, 8, 1));
  ExpectError(Spec("image_folder", 8, 3), absl::StatusCode::kInvalidArgument,
              "none of the first 2 pictures is for this model of 3 channels");
  ExpectError(Spec("image_folder", 8, 3), absl::StatusCode::kInvalidArgument,
              "a.png: the picture is gray, the model's images are RGB; "
              "convert=rgb takes it");
  Write("a.png", PngOf(3, 8, 0));
  Write("b.png", PngOf(3, 8, 1));
  ExpectError(Spec("image_folder", 8, 1), absl::StatusCode::kInvalidArgument,
              "the picture is RGB (3 channels), the model's images are gray");
}

TEST_F(OpenDatasetTest, ConvertsGrayToRgbIfAsked) {
  Write("a.png", PngOf(1, 8, 7));
  DatasetSpec spec = Spec("image_folder", 8, 3, 1);
  spec.conversion = Conversion::kToRgb;
  const auto dataset = OpenDataset(spec).value();
  EXPECT_THAT(ImageOf(*dataset, 0), Each(7));
  EXPECT_EQ(dataset->Remarks(), "1 gray so far of 1 pictures converted to RGB");
  spec.num_channels = 1;
  ExpectError(spec, absl::StatusCode::kInvalidArgument,
              "convert = rgb, but num_channels = 1");
}

TEST_F(OpenDatasetTest, ReadsWebpFromLmdb) {
  WriteLmdb(folder_.path(), {{"0", WebpFile(Gradient(3, 9, 9))}});
  std::vector<std::string> lines;
  ImageFolderOptions options;
  options.print = [&](const std::string& line) { lines.push_back(line); };
  const auto dataset = OpenDataset(Spec("lmdb", 9, 3), options).value();
  EXPECT_EQ(ImageOf(*dataset, 0), Gradient(3, 9, 9).pixels);
  EXPECT_THAT(lines,
              ::testing::ElementsAre(HasSubstr("1 values in the database")));
}

TEST_F(OpenDatasetTest, NamesWhatIsOutOfRange) {
  using absl::StatusCode;
  ExpectError(
      Spec("imagenet", 32, 3), StatusCode::kInvalidArgument,
      "dataset = 'imagenet', allowed are mnist, stacked_mnist, cifar10, "
      "image_folder and lmdb");
  ExpectError(Spec("mnist", 0, 1), StatusCode::kInvalidArgument,
              "image_size = 0, allowed are 1 to 1024");
  ExpectError(Spec("mnist", 32, 2), StatusCode::kInvalidArgument,
              "num_channels = 2, allowed are 1 and 3");
  ExpectError(Spec("mnist", 32, 1, -1), StatusCode::kInvalidArgument,
              "dataset_limit = -1");
  ImageFolderOptions options;
  options.classes = {"ship"};
  EXPECT_THAT(
      std::string(
          OpenDataset(Spec("mnist", 32, 1), options).status().message()),
      HasSubstr("dataset = 'mnist': only image_folder has classes"));
  options.classes = {"ship", ""};
  EXPECT_THAT(
      std::string(
          OpenDataset(Spec("image_folder", 8, 3), options).status().message()),
      HasSubstr("classes has an empty name"));
}

TEST_F(OpenDatasetTest, SaysWhatIsMissing) {
  using absl::StatusCode;
  ExpectError(Spec("mnist", 32, 1), StatusCode::kNotFound,
              "train-images-idx3-ubyte");
  ExpectError(Spec("stacked_mnist", 32, 3), StatusCode::kNotFound,
              "train-images-idx3-ubyte");
  ExpectError(Spec("cifar10", 32, 3), StatusCode::kNotFound,
              "data_batch_1.bin");
  ExpectError(Spec("image_folder", 8, 3), StatusCode::kNotFound, ".png");
  ExpectError(Spec("lmdb", 8, 3), StatusCode::kNotFound, "data.mdb");
}

}  // namespace
}  // namespace ddgan
