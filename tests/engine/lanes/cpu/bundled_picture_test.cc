// deploy/models/MODEL/grid.png, to the pixel: what each bundled model makes
// of seed 7 on every processor. Where that is meant to change,
// DDGAN_WRITE_BUNDLED_PICTURES=DIR writes DIR/MODEL.png.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/imaging/png_decoder.h"
#include "engine/imaging/png_encoder.h"
#include "engine/lanes/cpu/sampler.h"
#include "engine/model/model.h"
#include "tests_folder.h"

namespace ddgan {
namespace {

using Pixels = std::vector<uint8_t>;

constexpr int kImages = 64, kColumns = 8;
constexpr int kGap = 2;  // Pixels around each image of a grid.

// 8-bit pixels of all images, one after the other.
Pixels Draw(const Model& model) {
  const size_t numel = model.shape().numel();
  Pixels pixels(kImages * numel);
  std::vector<float> state(kImages * numel), next(kImages * numel);
  Sampler sampler(2);
  for (int step = static_cast<int>(model.plan().size()) - 1; step >= 0;
       --step) {
    std::vector<SamplerRow> rows(kImages);
    for (size_t i = 0; i < kImages; ++i) {
      rows[i].seed = 7;
      rows[i].image_index = static_cast<uint32_t>(i);
      rows[i].step = step;
      rows[i].x_next = &state[i * numel];
      rows[i].x = &next[i * numel];
      if (step == 0) rows[i].image = &pixels[i * numel];
    }
    EXPECT_TRUE(sampler.Step(model, absl::MakeSpan(rows)).ok());
    state.swap(next);
  }
  return pixels;
}

// `model` is the name of a folder in `root`.
void ExpectIsWhatTheModelMakes(const std::filesystem::path& root,
                               const std::string& model) {
  const auto versions = ListVersions(root, model);
  ASSERT_TRUE(versions.ok() && !versions->empty());
  const auto checkpoint = ReadCheckpoint(root, model, versions->front());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto loaded = LoadModel(*checkpoint, ModelUse::kCpuLanes);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const int side = loaded->model->shape().width;
  const int channels = loaded->model->shape().channels;
  const Pixels images = Draw(*loaded->model);

  std::ifstream file(root / model / "grid.png", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)),
                          std::istreambuf_iterator<char>());
  absl::StatusOr<Picture> picture = DecodePng(bytes);
  ASSERT_TRUE(picture.ok()) << picture.status();
  const int width = kGap + kColumns * (side + kGap);
  ASSERT_EQ(picture->shape.width, width);
  ASSERT_EQ(picture->shape.height, width);
  ASSERT_EQ(picture->shape.channels, channels);
  int different = 0, largest = 0;
  for (int i = 0; i < kImages; ++i) {
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side * channels; ++x) {
        const auto from =
            static_cast<size_t>((i * side + y) * side * channels + x);
        const auto to = static_cast<size_t>(
            ((kGap + i / kColumns * (side + kGap) + y) * width + kGap +
             i % kColumns * (side + kGap)) *
                channels +
            x);
        const int difference = std::abs(images[from] - picture->pixels[to]);
        if (difference != 0) ++different;
        largest = std::max(largest, difference);
        picture->pixels[to] = images[from];
      }
    }
  }
  EXPECT_EQ(different, 0) << "pixels of " << images.size()
                          << "; the largest difference is " << largest;
  if (const char* folder = std::getenv("DDGAN_WRITE_BUNDLED_PICTURES")) {
    std::ofstream(std::filesystem::path(folder) / (model + ".png"),
                  std::ios::binary)
        << EncodePng(picture->pixels, picture->shape,
                     {.compression_level = 9, .text = {}})
               .value();
  }
}

TEST(BundledPictureTest, IsWhatTheModelMakes) {
  const std::filesystem::path root = DDGAN_TESTS_DIR "/../deploy/models";
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    const std::string model = entry.path().filename().string();
    SCOPED_TRACE(model);
    ExpectIsWhatTheModelMakes(root, model);
    ++models;
  }
  EXPECT_GT(models, 0);
}

}  // namespace
}  // namespace ddgan
