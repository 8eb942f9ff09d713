// Images of eight architectures and eight seeds against the digests in
// tests/golden/image_digests.tsv, which every processor must make, with the
// kernels of each of its instruction sets. After a change that is meant to
// change images, DDGAN_WRITE_IMAGE_DIGESTS=FILE writes them anew.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/sha256.h"
#include "engine/kernels/normal_noise.h"
#include "engine/lanes/cpu/sampler.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "tests/engine/kernels/every_target.h"
#include "tests_folder.h"

namespace ddgan {
namespace {

constexpr int kSeeds = 8;

struct Architecture {
  std::string name;
  ModelConfig config;
};

// Gray and RGB, each way of input and output, widths that fill no vector, odd
// resolutions, each update rule, 1 to 1000 levels.
std::vector<Architecture> Architectures() {
  ModelConfig base;
  base.num_res_blocks = 1;
  base.n_mlp = 1;
  base.z_emb_dim = 16;
  base.attn_resolutions = {};
  std::vector<Architecture> all;
  const auto add = [&](std::string name, int size, int channels, int width,
                       std::vector<int> ch_mult, int steps) -> ModelConfig& {
    all.push_back({std::move(name), base});
    ModelConfig& config = all.back().config;
    config.image_size = size;
    config.num_channels = channels;
    config.num_channels_dae = width;
    config.ch_mult = std::move(ch_mult);
    config.num_timesteps = steps;
    return config;
  };
  ModelConfig* config = &add("gray_8_one_step", 8, 1, 4, {1}, 1);
  config->nz = 1;
  config->z_emb_dim = 1;
  config = &add("rgb_8_residual", 8, 3, 12, {1, 3}, 4);
  config->nz = 13;
  config->n_mlp = 3;
  config->num_res_blocks = 2;
  config->attn_resolutions = {8};
  config = &add("gray_16_output_skip", 16, 1, 12, {1, 2}, 4);
  config->progressive = "output_skip";
  config->progressive_input = "input_skip";
  config = &add("rgb_28_geometric", 28, 3, 12, {1, 2, 1}, 3);
  config->use_geometric = true;
  config->beta_min = 0.1;
  config->beta_max = 0.9;
  config = &add("gray_32_corrector", 32, 1, 8, {1, 1, 2}, 2);
  config->sampler = "pc";
  config->progressive_input = "none";
  config->attn_resolutions = {16};
  config = &add("rgb_64", 64, 3, 4, {1, 2, 2, 4}, 2);
  config = &add("rgb_12_ddim", 12, 3, 20, {1, 2}, 1000);
  config->objective = "denoising";
  config->sampler = "ddim:4";
  config = &add("gray_8_hundred_steps", 8, 1, 4, {1, 1}, 100);
  config->objective = "denoising";
  return all;
}

// Of equal bits everywhere, which LibTorch's draws are not. Weights of standard
// deviation 1 / sqrt(inputs); of vectors 0.1, and norms' scales about 1.
Parameters DrawnParameters(const ModelConfig& config) {
  Parameters parameters;
  uint32_t index = 0;
  for (const ParameterPlan& plan : PlanGenerator(config).parameters) {
    at::Tensor tensor = at::empty(plan.shape, at::kFloat);
    float* const values = tensor.mutable_data_ptr<float>();
    const int64_t count = tensor.numel();
    kernels::FillNormal({18, index++, 0, NoiseStream::kInitial}, count, values);
    const bool is_vector = plan.shape.size() == 1;
    const float inputs = static_cast<float>(count / tensor.size(0));
    const float scale = is_vector ? 0.1f : 1.0f / std::sqrt(inputs);
    for (int64_t i = 0; i < count; ++i) {
      const double mean =
          is_vector && plan.init.bound == 0
              ? (i < count / 2 ? plan.init.first_half : plan.init.second_half)
              : 0;
      values[i] *= scale;
      values[i] += static_cast<float>(mean);
    }
    parameters.push_back(std::move(tensor));
  }
  return parameters;
}

struct Digests {
  std::string float32;
  std::string uint8;

  friend bool operator==(const Digests&, const Digests&) = default;
};

std::string DigestOf(const std::vector<uint8_t>& bytes) {
  return Sha256Hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// Of image 0 of each seed.
std::vector<Digests> Draw(const Model& model, Sampler& sampler) {
  const size_t numel = model.shape().numel();
  std::vector<std::vector<float>> states(kSeeds, std::vector<float>(numel));
  std::vector<Digests> digests(kSeeds);
  for (int step = static_cast<int>(model.plan().size()) - 1; step >= 0;
       --step) {
    std::vector<std::vector<float>> next(kSeeds, std::vector<float>(numel));
    std::vector<std::vector<uint8_t>> planes(
        kSeeds, std::vector<uint8_t>(numel * sizeof(float)));
    std::vector<std::vector<uint8_t>> pixels(kSeeds,
                                             std::vector<uint8_t>(numel));
    std::vector<SamplerRow> rows(kSeeds);
    for (int i = 0; i < kSeeds; ++i) {
      rows[i].seed = static_cast<uint64_t>(i) << (8 * i);
      rows[i].step = step;
      rows[i].x_next = states[i].data();
      rows[i].x = next[i].data();
      rows[i].pixel_format = PixelFormat::kFloat32;
      if (step == 0) rows[i].image = planes[i].data();
    }
    EXPECT_TRUE(sampler.Step(model, absl::MakeSpan(rows)).ok());
    if (step == 0) {
      for (int i = 0; i < kSeeds; ++i) {
        EXPECT_FALSE(rows[i].not_finite);
        rows[i].pixel_format = PixelFormat::kUint8;
        rows[i].image = pixels[i].data();
      }
      EXPECT_TRUE(sampler.Step(model, absl::MakeSpan(rows)).ok());
      for (int i = 0; i < kSeeds; ++i) {
        // An image that is one colour would show little.
        const auto [least, most] =
            std::minmax_element(pixels[i].begin(), pixels[i].end());
        EXPECT_GT(*most - *least, 50);
        digests[i] = {DigestOf(planes[i]), DigestOf(pixels[i])};
      }
    }
    states = std::move(next);
  }
  return digests;
}

class ImageDigestsTest : public kernels::EveryTarget {};

TEST_P(ImageDigestsTest, EveryProcessorMakesTheseImages) {
  std::map<std::pair<std::string, int>, Digests> wanted;
  std::ifstream file(DDGAN_TESTS_DIR "/golden/image_digests.tsv");
  std::string name;
  int seed = 0;
  Digests digests;
  while (file >> name >> seed >> digests.float32 >> digests.uint8) {
    wanted[{name, seed}] = digests;
  }
  EXPECT_EQ(wanted.size(), 64);

  const char* const write_to = std::getenv("DDGAN_WRITE_IMAGE_DIGESTS");
  std::ofstream written;
  if (write_to != nullptr) written.open(write_to);
  // Six rows for threads that take whole images, the others shared by all.
  Sampler sampler(3);
  for (const Architecture& architecture : Architectures()) {
    ASSERT_TRUE(ValidateModelConfig(architecture.config).ok())
        << architecture.name << ": "
        << ValidateModelConfig(architecture.config);
    const Model model(
        ModelIdentity{architecture.name, 1, "digest"},
        Generator(architecture.config, DrawnParameters(architecture.config)));
    const std::vector<Digests> drawn = Draw(model, sampler);
    for (int i = 0; i < kSeeds; ++i) {
      EXPECT_EQ(drawn[i], (wanted[{architecture.name, i}]))
          << architecture.name << ", seed " << i << ": " << drawn[i].float32
          << ' ' << drawn[i].uint8;
      written << architecture.name << '\t' << i << '\t' << drawn[i].float32
              << '\t' << drawn[i].uint8 << '\n';
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ImageDigestsTest,
                         testing::ValuesIn(kernels::Targets()),
                         kernels::TargetTestName);

}  // namespace
}  // namespace ddgan
