#include "trainer/import/architecture.h"

#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint_format.h"
#include "engine/model/generator_plan.h"
#include "gtest/gtest.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

std::vector<TensorShape> ShapesOf(const ModelConfig& config) {
  std::vector<TensorShape> shapes;
  for (const ParameterPlan& parameter : PlanGenerator(config).parameters)
    shapes.push_back({parameter.name, parameter.shape});
  return shapes;
}

TEST(ArchitectureTest, PresetsAreValidAndUnknownNamesAreNone) {
  for (const char* name : {"cifar10", "celebahq256", "lsun256"}) {
    ASSERT_TRUE(PublishedPreset(name).has_value()) << name;
    EXPECT_TRUE(ValidateModelConfig(*PublishedPreset(name)).ok()) << name;
  }
  EXPECT_EQ(PublishedPreset("celebahq256")->num_timesteps, 2);
  EXPECT_EQ(PublishedPreset("lsun256")->num_timesteps, 4);
  EXPECT_FALSE(PublishedPreset("imagenet").has_value());
}

TEST(ArchitectureTest, PublishedGeneratorsAreRecognised) {
  for (const char* name : {"cifar10", "lsun256"}) {
    const ModelConfig config = *PublishedPreset(name);
    const auto guess = GuessArchitecture(ShapesOf(config), TinyModelConfig());
    ASSERT_TRUE(guess.has_value()) << name;
    EXPECT_EQ(guess->image_size, config.image_size);
    EXPECT_EQ(guess->ch_mult, config.ch_mult);
    EXPECT_EQ(guess->n_mlp, config.n_mlp);
    EXPECT_EQ(guess->attn_resolutions, config.attn_resolutions);
  }
}

TEST(ArchitectureTest, GuessHasTheFilesShapesForEveryOption) {
  for (const char* progressive : {"none", "output_skip"}) {
    for (const char* input : {"none", "residual", "input_skip"}) {
      ModelConfig config = TinyModelConfig();
      config.progressive = progressive;
      config.progressive_input = input;
      config.num_res_blocks = 2;
      config.ch_mult = {1, 2};
      const auto guess = GuessArchitecture(ShapesOf(config), ModelConfig());
      ASSERT_TRUE(guess.has_value()) << progressive << " " << input;
      EXPECT_TRUE(
          CheckTensorShapes(ShapesOf(config), PlanGenerator(*guess)).ok());
      EXPECT_EQ(guess->progressive, progressive);
      EXPECT_EQ(guess->progressive_input, input);
    }
  }
}

TEST(ArchitectureTest, WhatFitsNoGeneratorIsNotGuessed) {
  EXPECT_FALSE(GuessArchitecture({}, ModelConfig()).has_value());
  std::vector<TensorShape> shapes = ShapesOf(TinyModelConfig());
  shapes.push_back({"extra", {1}});
  EXPECT_FALSE(GuessArchitecture(shapes, ModelConfig()).has_value());
  // Widths that would overflow.
  for (TensorShape& tensor : shapes) {
    if (tensor.name == "all_modules.2.weight") tensor.shape[0] = 2147483647;
  }
  EXPECT_FALSE(GuessArchitecture(shapes, ModelConfig()).has_value());
}

TEST(ArchitectureTest, JsonIsWhatConfigTakes) {
  ModelConfig config = TinyModelConfig();
  const auto parsed = ParseModelConfig(ArchitectureJson(config), ModelConfig());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  config.num_timesteps = ModelConfig().num_timesteps;  // Not in the shapes.
  EXPECT_TRUE(*parsed == config);
}

}  // namespace
}  // namespace ddgan
