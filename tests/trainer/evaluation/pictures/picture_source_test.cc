// Coding of pictures, digests of data sets, and real pictures as a source.
#include "trainer/evaluation/pictures/picture_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/imaging/png_encoder.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/idx_file.h"
#include "tests/trainer/dataset/jpeg_file.h"
#include "trainer/dataset/mnist_dataset.h"
#include "trainer/evaluation/pictures/dataset_digest.h"
#include "trainer/evaluation/pictures/dataset_pictures.h"
#include "trainer/evaluation/pictures/jpeg_encoder.h"
#include "trainer/evaluation/pictures/pictures_description.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Offset of the marker's segment after its length, in a file without a scan
// before it.
size_t Segment(const std::string& jpeg, char marker) {
  const size_t at = jpeg.find({'\xff', marker});
  EXPECT_NE(at, std::string::npos);
  return at + 4;
}

TEST(JpegEncoderTest, WritesLibjpegsDefaultOfQuality75AndHalvedChroma) {
  const Picture picture = Gradient(3, 32, 32);
  const auto file = EncodeJpeg(picture.pixels, picture.shape, 75);
  ASSERT_TRUE(file.ok()) << file.status();
  // The standard's table begins with 16 for luminance; quality 75 halves it.
  EXPECT_EQ((*file)[Segment(*file, '\xdb') + 1], 8);
  const size_t frame = Segment(*file, '\xc0');
  EXPECT_EQ((*file)[frame + 5], 3);        // Components:
  EXPECT_EQ((*file)[frame + 7], '\x22');   // luminance, 2x2 samples to
  EXPECT_EQ((*file)[frame + 10], '\x11');  // one of each chroma.
  EXPECT_EQ((*file)[frame + 13], '\x11');
}

TEST(JpegEncoderTest, GrayPicturesHaveOneComponent) {
  const Picture picture = Gradient(1, 16, 24);
  const auto file = EncodeJpeg(picture.pixels, picture.shape, 75);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)[Segment(*file, '\xc0') + 5], 1);
}

TEST(JpegEncoderTest, RefusesSizesThatDoNotGoTogether) {
  const std::vector<uint8_t> pixels(12);
  for (const ImageShape& shape :
       {ImageShape{3, 2, 3}, ImageShape{2, 2, 3}, ImageShape{3, 0, 4},
        ImageShape{1, 1, 20000}}) {
    EXPECT_EQ(EncodeJpeg(pixels, shape, 75).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(
      std::string(EncodeJpeg(pixels, {3, 2, 2}, 101).status().message()),
      HasSubstr("quality is 101, must be in [1, 100]"));
}

TEST(PictureCodingTest, PngChangesNothingAndJpegALittle) {
  for (const int channels : {1, 3}) {
    const Picture picture = Gradient(channels, 32, 32);
    // Two pictures, so that the second is coded, too.
    std::vector<uint8_t> original = picture.pixels;
    original.insert(original.end(), picture.pixels.rbegin(),
                    picture.pixels.rend());
    std::vector<uint8_t> pixels = original;
    ASSERT_TRUE(CodePictures(PictureCoding::kPng, picture.shape, &pixels).ok());
    EXPECT_EQ(pixels, original);
    ASSERT_TRUE(
        CodePictures(PictureCoding::kJpeg75, picture.shape, &pixels).ok());
    ASSERT_EQ(pixels.size(), original.size());
    EXPECT_NE(pixels, original);
    int worst = 0;
    for (size_t i = 0; i < pixels.size(); ++i) {
      worst = std::max(worst, std::abs(pixels[i] - original[i]));
    }
    EXPECT_LE(worst, 12);
  }
}

class DatasetDigestTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories((root_ / name).parent_path());
    WriteBytes(root_ / name, bytes);
  }
  std::string Digest(const std::string& kind = "image_folder") {
    return DatasetDigest(root_, kind).value();
  }

  const TemporaryFolder folder_;
  const std::filesystem::path root_ = folder_.path() / "set";
};

TEST_F(DatasetDigestTest, IsOfNamesAndContents) {
  Write("b/2.png", "two");
  Write("a/1.png", "one");
  const std::string digest = Digest();
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(Digest(), digest);
  Write("notes.txt", "not an image");
  EXPECT_EQ(Digest(), digest);

  Write("a/1.png", "0ne");
  EXPECT_NE(Digest(), digest);
  Write("a/1.png", "one");
  EXPECT_EQ(Digest(), digest);
  std::filesystem::rename(root_ / "a/1.png", root_ / "a/3.png");
  EXPECT_NE(Digest(), digest);
}

TEST_F(DatasetDigestTest, MovingBytesFromOneFileToAnotherShows) {
  Write("1.png", "ab");
  Write("2.png", "c");
  const std::string digest = Digest();
  Write("1.png", "a");
  Write("2.png", "bc");
  EXPECT_NE(Digest(), digest);
}

TEST_F(DatasetDigestTest, AFileIsASetOfItsOwn) {
  Write("set.tar", "bytes");
  const auto digest = DatasetDigest(root_ / "set.tar", "image_folder");
  ASSERT_TRUE(digest.ok()) << digest.status();
  std::filesystem::rename(root_ / "set.tar", root_ / "renamed.tar");
  EXPECT_EQ(DatasetDigest(root_ / "renamed.tar", "image_folder").value(),
            *digest);
}

TEST_F(DatasetDigestTest, CountsTheFilesThatASetIsReadFromAndNoOther) {
  Write("elsewhere/data_batch_1.bin", "records");
  std::filesystem::create_directory_symlink(root_ / "elsewhere",
                                            root_ / "cifar-10-batches-bin");
  const std::string digest = Digest("cifar10");
  Write("pytorch_model.bin", "weights");
  Write("unreadable/other.bin", "");
  EXPECT_EQ(Digest("cifar10"), digest);
  Write("elsewhere/data_batch_1.bin", "others");
  EXPECT_NE(Digest("cifar10"), digest);
  Write("t10k-images-idx3-ubyte.gz", "digits");
  const std::string digits = Digest("mnist");
  Write("old-images-idx3-ubyte", "digits");
  EXPECT_EQ(Digest("mnist"), digits);
}

TEST_F(DatasetDigestTest, SaysThatNothingIsThere) {
  Write("notes.txt", "no image");
  EXPECT_THAT(std::string(DatasetDigest(root_, "mnist").status().message()),
              AllOf(HasSubstr(root_.string()), HasSubstr("no file of mnist")));
  EXPECT_EQ(DatasetDigest(root_ / "nowhere", "mnist").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(DatasetPicturesTest, AreAllOfTheSetAndAlwaysInTheSameRandomOrder) {
  const TemporaryFolder folder;
  WriteBytes(folder.path() / "train-images-idx3-ubyte", DigitFile(40));
  DatasetPictures pictures(MnistDataset::Load(folder.path()).value(), "mnist");
  ASSERT_EQ(pictures.size(), 40);
  const std::vector<uint8_t> all = pictures.Pictures(0, 40).value();
  const size_t bytes = PictureBytes(pictures.shape());
  EXPECT_EQ(bytes, 32u * 32u);
  const auto mnist = MnistDataset::Load(folder.path()).value();
  std::set<int64_t> seen;
  std::vector<uint8_t> expected(bytes);
  for (int64_t i = 0; i < 40; ++i) {
    seen.insert(pictures.DatasetIndex(i));
    ASSERT_TRUE(mnist
                    ->Image(static_cast<size_t>(pictures.DatasetIndex(i)),
                            absl::MakeSpan(expected))
                    .ok());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(),
                           all.begin() + i * static_cast<int64_t>(bytes)));
  }
  EXPECT_EQ(seen.size(), 40u);
  EXPECT_NE(pictures.DatasetIndex(0), 0);
  // A part is what it is of the whole.
  const std::vector<uint8_t> part = pictures.Pictures(7, 3).value();
  EXPECT_TRUE(std::equal(part.begin(), part.end(),
                         all.begin() + 7 * static_cast<int64_t>(bytes)));
  EXPECT_THAT(std::string(pictures.Pictures(38, 3).status().message()),
              HasSubstr("pictures 38 to 40, there are pictures 0 to 39"));
}

class PictureFolderTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const Picture& picture) {
    WriteBytes(folder_.path() / name,
               EncodePng(picture.pixels, picture.shape).value());
  }
  const TemporaryFolder folder_;
};

TEST_F(PictureFolderTest, GivesThePicturesByName) {
  Picture second = Gradient(3, 8, 8);
  second.pixels[0] = 255;
  Write("b.png", second);
  Write("a.png", Gradient(3, 8, 8));
  const auto pictures = OpenPictureFolder(folder_.path());
  ASSERT_TRUE(pictures.ok()) << pictures.status();
  EXPECT_EQ((*pictures)->size(), 2);
  EXPECT_EQ((*pictures)->shape(), (ImageShape{3, 8, 8}));
  EXPECT_EQ((*pictures)->Pictures(0, 1).value(), Gradient(3, 8, 8).pixels);
  EXPECT_EQ((*pictures)->Pictures(1, 1).value(), second.pixels);
}

TEST_F(PictureFolderTest, NamesThePictureOfAnotherShape) {
  Write("a.png", Gradient(3, 8, 8));
  Write("b.png", Gradient(1, 8, 8));
  const auto pictures = OpenPictureFolder(folder_.path());
  ASSERT_TRUE(pictures.ok()) << pictures.status();
  EXPECT_THAT(std::string((*pictures)->Pictures(0, 2).status().message()),
              AllOf(HasSubstr("b.png"), HasSubstr("a picture of 1x8x8, must be "
                                                  "of 3x8x8")));
  Write("a.png", Gradient(3, 8, 9));
  EXPECT_THAT(std::string(OpenPictureFolder(folder_.path()).status().message()),
              AllOf(HasSubstr("a.png"), HasSubstr("must be a square")));
}

TEST(PicturesDescriptionTest, TellsVersionsSamplersSeedsAndServersApart) {
  const ModelIdentity identity = {"m", 7, std::string(64, 'a')};
  ModelIdentity other = identity;
  other.digest[0] = 'b';
  const std::set<std::string> descriptions = {
      ModelPicturesDescription(identity, "", 0),
      ModelPicturesDescription(identity, "", 1),
      ModelPicturesDescription(identity, "ddim:5", 0),
      ModelPicturesDescription(other, "", 0),
      // A CPU and a GPU, say.
      ServerPicturesDescription(identity, 0, "image"),
      ServerPicturesDescription(identity, 0, "imagf")};
  EXPECT_EQ(descriptions.size(), 6u);
}

}  // namespace
}  // namespace ddgan
