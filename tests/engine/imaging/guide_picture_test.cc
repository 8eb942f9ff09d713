#include "engine/imaging/guide_picture.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;

// Values that no filter leaves alone: element i is (37 i + i*i / 5) mod 256.
Picture Pattern(const ImageShape& shape) {
  Picture picture;
  picture.shape = shape;
  const int elements = shape.channels * shape.height * shape.width;
  for (int i = 0; i < elements; ++i) {
    picture.pixels.push_back(static_cast<uint8_t>(37 * i + i * i / 5));
  }
  return picture;
}

std::vector<float> Fit(const Picture& picture, const ImageShape& shape,
                       GuideFit fit = GuideFit::kResize) {
  const absl::StatusOr<std::vector<float>> planes =
      FitGuide(picture, shape, fit);
  EXPECT_TRUE(planes.ok()) << planes.status();
  return planes.ok() ? *planes : std::vector<float>();
}

struct ResizedByPil {
  ImageShape from;
  ImageShape to;
  std::vector<float> values;  // Of [0, 255].
};

// Made with Pillow 10.4.0 and numpy 1.26.4. Floats, since PIL rounds a picture
// of bytes between rows and columns:
//   i = numpy.arange(height * width)
//   pattern = ((37 * i + i * i // 5) % 256).reshape(height, width)
//   image = PIL.Image.fromarray(pattern.astype('float32'), mode='F')
//   print(numpy.asarray(image.resize((to_width, to_height),
//                                    PIL.Image.BILINEAR)).ravel())
std::vector<ResizedByPil> ResizesByPil() {
  return {
      {{1, 3, 2},  // Both sides grow.
       {1, 5, 4},
       {0.0000f,   9.2500f,   27.7500f,  37.0000f,  29.6000f,
        38.9500f,  57.6500f,  67.0000f,  74.0000f,  83.5000f,
        102.5000f, 112.0000f, 120.2000f, 129.8500f, 149.1500f,
        158.8000f, 151.0000f, 160.7500f, 180.2500f, 190.0000f}},
      {{1, 6, 9},  // Both shrink, by no whole number.
       {1, 4, 4},
       {66.7750f, 122.1829f, 132.1951f, 95.8000f, 112.5270f, 109.5556f,
        130.0596f, 107.1175f, 131.8445f, 107.1436f, 108.8835f, 136.8254f,
        78.7786f, 161.5183f, 101.1402f, 172.9500f}},
      {{1, 7, 5},  // One of each.
       {1, 3, 8},
       {110.1429f, 127.0804f, 144.4196f, 100.0446f, 73.1250f,  63.6607f,
        85.6161f,  103.4286f, 92.7059f,  111.5184f, 137.4522f, 154.9154f,
        158.5735f, 148.4265f, 113.4301f, 87.0000f,  25.8571f,  46.5446f,
        76.0982f,  105.6518f, 135.5179f, 165.6964f, 196.4375f, 218.0000f}},
      {{1, 40, 33},
       {1, 2, 3},
       {123.8620f, 132.5851f, 128.5418f, 125.7935f, 129.0994f, 125.7438f}},
  };
}

TEST(GuidePictureTest, ResizesAsPilDoes) {
  for (const ResizedByPil& expected : ResizesByPil()) {
    const std::vector<float> fitted = Fit(Pattern(expected.from), expected.to);
    ASSERT_EQ(fitted.size(), expected.values.size());
    for (size_t i = 0; i < fitted.size(); ++i) {
      EXPECT_NEAR((fitted[i] + 1.0f) * 127.5f, expected.values[i], 1e-3f)
          << expected.from.width << 'x' << expected.from.height << " at " << i;
    }
  }
}

TEST(GuidePictureTest, ResizesEachChannelOnItsOwn) {
  const ImageShape large{3, 6, 9};
  const ImageShape small{3, 4, 4};
  const Picture rgb = Pattern(large);
  const std::vector<float> fitted = Fit(rgb, small);
  ASSERT_EQ(fitted.size(), 3u * 4 * 4);
  for (size_t c = 0; c < 3; ++c) {
    Picture channel;
    channel.shape = {1, 6, 9};
    for (size_t i = c; i < rgb.pixels.size(); i += 3) {
      channel.pixels.push_back(rgb.pixels[i]);
    }
    EXPECT_EQ(std::vector<float>(fitted.begin() + c * 16,
                                 fitted.begin() + (c + 1) * 16),
              Fit(channel, {1, 4, 4}));
  }
}

TEST(GuidePictureTest, KeepsValuesOfAPictureOfTheRightSize) {
  const Picture rgb{{3, 1, 2}, {0, 51, 102, 153, 204, 255}};
  for (const GuideFit fit : {GuideFit::kRefuse, GuideFit::kResize}) {
    EXPECT_THAT(Fit(rgb, {3, 1, 2}, fit),
                ElementsAre(-1.0f, 153 / 127.5f - 1.0f, 51 / 127.5f - 1.0f,
                            204 / 127.5f - 1.0f, 102 / 127.5f - 1.0f, 1.0f));
  }
}

TEST(GuidePictureTest, RepeatsGrayForRgb) {
  EXPECT_THAT(Fit({{1, 1, 2}, {0, 255}}, {3, 1, 2}),
              ElementsAre(-1.0f, 1.0f, -1.0f, 1.0f, -1.0f, 1.0f));
}

TEST(GuidePictureTest, MakesRgbGrayByRec601Luma) {
  const Picture rgb{{3, 1, 5},
                    {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0}};
  const std::vector<float> gray = Fit(rgb, {1, 1, 5});
  EXPECT_THAT(gray,
              ElementsAre(FloatEq(2 * 0.299f - 1), FloatEq(2 * 0.587f - 1),
                          FloatEq(2 * 0.114f - 1), FloatEq(1.0f), -1.0f));
}

TEST(GuidePictureTest, StaysInRangeAtEverySize) {
  for (const uint8_t value : {0, 1, 254, 255}) {
    for (int size = 1; size <= 70; ++size) {
      Picture flat;
      flat.shape = {3, size, size + 1};
      flat.pixels.assign(size_t{3} * size * (size + 1), value);
      for (const int channels : {1, 3}) {
        for (const float fitted : Fit(flat, {channels, 32, 31})) {
          ASSERT_LE(fitted, 1.0f);
          ASSERT_GE(fitted, -1.0f);
          ASSERT_NEAR(fitted, value / 127.5f - 1.0f, 1e-5f);
        }
      }
    }
  }
}

TEST(GuidePictureTest, RefusesAnotherSizeUnlessItMayResize) {
  const Picture picture = Pattern({1, 48, 64});
  const absl::Status status =
      FitGuide(picture, {1, 32, 28}, GuideFit::kRefuse).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("64x48"), HasSubstr("28x32")));
  // As does one side that differs.
  EXPECT_FALSE(FitGuide(picture, {1, 48, 32}, GuideFit::kRefuse).ok());
  EXPECT_FALSE(FitGuide(picture, {1, 32, 64}, GuideFit::kRefuse).ok());
  EXPECT_TRUE(FitGuide(picture, {3, 48, 64}, GuideFit::kRefuse).ok());
}

TEST(GuidePictureTest, RefusesWhatIsNoPicture) {
  for (const Picture& picture :
       {Picture{}, Picture{{1, 2, 2}, {1, 2, 3}}, Picture{{2, 1, 1}, {1, 2}},
        Picture{{1, 0, 5}, {}}, Picture{{1, -1, -1}, {1}}}) {
    const absl::Status status =
        FitGuide(picture, {1, 4, 4}, GuideFit::kResize).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("no picture"));
  }
}

}  // namespace
}  // namespace ddgan
