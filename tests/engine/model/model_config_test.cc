#include "engine/model/model_config.h"

#include <functional>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The message for the default config with one change.
std::string Refusal(const std::function<void(ModelConfig&)>& change) {
  ModelConfig config;
  change(config);
  const absl::Status status = ValidateModelConfig(config);
  if (status.ok()) return "accepted";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ModelConfigTest, AcceptsThePublishedConfigurations) {
  EXPECT_TRUE(ValidateModelConfig(ModelConfig()).ok());
  ModelConfig large;
  large.image_size = 256;
  large.num_channels_dae = 64;
  large.ch_mult = {1, 1, 2, 2, 4, 4};
  large.n_mlp = 3;
  large.num_timesteps = 2;
  EXPECT_TRUE(ValidateModelConfig(large).ok());
}

TEST(ModelConfigTest, NumberOutOfRangeIsNamedWithItsRange) {
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.image_size = 2048; }),
            "image_size = 2048 is not allowed: must be in [8, 1024]");
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.num_channels = 4; }),
            "num_channels = 4 is not allowed: must be 1 or 3");
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.num_channels_dae = 2048; }),
              HasSubstr("num_channels_dae = 2048"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.num_res_blocks = 0; }),
              HasSubstr("num_res_blocks = 0"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.nz = -1; }), HasSubstr("nz = -1"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.z_emb_dim = 5000; }),
              HasSubstr("z_emb_dim = 5000"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.n_mlp = 17; }),
              HasSubstr("n_mlp = 17"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.num_timesteps = 0; }),
              HasSubstr("num_timesteps = 0"));
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.num_timesteps = 1000; }),
            "accepted");
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.num_timesteps = 1001; }),
            "num_timesteps = 1001 is not allowed: must be in [1, 1000]");
}

TEST(ModelConfigTest, ObjectiveAndSamplerAreKnownOnes) {
  EXPECT_FALSE(IsDenoiser(ModelConfig()));
  ModelConfig denoiser;
  denoiser.objective = "denoising";
  EXPECT_TRUE(IsDenoiser(denoiser));
  EXPECT_TRUE(ValidateModelConfig(denoiser).ok());
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.objective = "diffusion"; }),
            "objective = \"diffusion\" is not supported: must be "
            "\"adversarial\" or \"denoising\"");
  for (const char* sampler : {"ancestral", "ddim:1", "ddim:4", "pc"}) {
    EXPECT_EQ(Refusal([&](ModelConfig& c) { c.sampler = sampler; }),
              "accepted");
  }
  for (const char* sampler : {"", "ddim", "ddim:", "ddim:0", "ddim:5",
                              "ddim:04", "ddim:+4", "ddim:4 ", "PC"}) {
    EXPECT_EQ(Refusal([&](ModelConfig& c) { c.sampler = sampler; }),
              std::string("sampler = \"") + sampler +
                  "\" is not allowed: must be ancestral, ddim:K with K in "
                  "[1, 4], or pc");
  }
}

TEST(ModelConfigTest, ManyStepsMustStayDistinctInFloat32) {
  const auto geometric = [](int steps) {
    return Refusal([steps](ModelConfig& c) {
      c.use_geometric = true;
      c.beta_min = 1e-5;
      c.beta_max = 2e-5;
      c.num_timesteps = steps;
    });
  };
  EXPECT_EQ(geometric(4), "accepted");
  EXPECT_EQ(geometric(1000),
            "beta_min = 1e-05 with beta_max = 2e-05 is not allowed at "
            "num_timesteps = 1000: neighbouring steps have the same noise in "
            "float32");
  const auto variance_preserving = [](double beta_max) {
    return Refusal([beta_max](ModelConfig& c) {
      c.beta_max = beta_max;
      c.num_timesteps = 1000;
    });
  };
  for (const double beta_max : {1.0, 20.0, 40.0})
    EXPECT_EQ(variance_preserving(beta_max), "accepted") << beta_max;
  // Nothing is left of the image long before the end.
  EXPECT_THAT(variance_preserving(100), HasSubstr("beta_max = 100"));
}

TEST(ModelConfigTest, WhatIsQuotedIsShortAndPrintable) {
  const std::string hostile = "\x1b[2J\n\xff" + std::string(1 << 20, 'x');
  for (const std::string& refusal :
       {Refusal([&](ModelConfig& c) { c.resblock_type = hostile; }),
        Refusal([&](ModelConfig& c) { c.sampler = hostile; })}) {
    EXPECT_THAT(refusal, HasSubstr(" = \"\\x1b[2J\\n\\xffxxx"));
    EXPECT_LT(refusal.size(), 250u);
  }
}

TEST(ModelConfigTest, UnsupportedOptionIsNamedWithWhatIsSupported) {
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.resblock_type = "ddpm"; }),
            "resblock_type = \"ddpm\" is not supported: must be \"biggan\"");
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.progressive = "residual"; }),
            "progressive = \"residual\" is not supported: must be \"none\" or "
            "\"output_skip\"");
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.fir = false; }),
            "fir = false is not supported: must be true");
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.not_use_tanh = true; }),
            "not_use_tanh = true is not supported: must be false");
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.progressive_input = "cat"; }),
              HasSubstr("progressive_input = \"cat\""));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.progressive_combine = "cat"; }),
              HasSubstr("progressive_combine = \"cat\""));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.embedding_type = "fourier"; }),
              HasSubstr("embedding_type = \"fourier\""));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.skip_rescale = false; }),
              HasSubstr("skip_rescale = false"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.resamp_with_conv = false; }),
              HasSubstr("resamp_with_conv = false"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.conditional = false; }),
              HasSubstr("conditional = false"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.centered = false; }),
              HasSubstr("centered = false"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.dropout = 0.1; }),
              HasSubstr("dropout = 0.1"));
}

TEST(ModelConfigTest, FirKernelHasFourTapsThatCanBeNormalised) {
  EXPECT_EQ(Refusal([](ModelConfig& c) {
              c.fir_kernel = {1, 2, 1};
            }),
            "fir_kernel has 3 taps: must have 4");
  EXPECT_THAT(Refusal([](ModelConfig& c) {
                c.fir_kernel = {1, -1, 1, -1};
              }),
              HasSubstr("sum must not be 0"));
  EXPECT_THAT(
      Refusal([](ModelConfig& c) {
        c.fir_kernel = {1, 1, 1, std::numeric_limits<double>::quiet_NaN()};
      }),
      HasSubstr("fir_kernel = nan"));
  EXPECT_EQ(Refusal([](ModelConfig& c) {
              c.fir_kernel = {1, 2, 3, 4};
            }),
            "accepted");
}

TEST(ModelConfigTest, ImageSizeMustHalveAtEveryLevel) {
  EXPECT_EQ(Refusal([](ModelConfig& c) { c.image_size = 36; }),
            "image_size = 36 is not allowed: with the 4 levels of ch_mult it "
            "must be a multiple of 8");
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.ch_mult = {}; }),
              HasSubstr("ch_mult has 0 levels"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.ch_mult.assign(9, 1); }),
              HasSubstr("ch_mult has 9 levels"));
  EXPECT_THAT(Refusal([](ModelConfig& c) {
                c.ch_mult = {1, 9};
              }),
              HasSubstr("ch_mult = [1, 9]"));
}

TEST(ModelConfigTest, EveryNormalisedWidthMustDivideIntoItsGroups) {
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.num_channels_dae = 6; }),
              HasSubstr("num_channels_dae = 6"));
  // 36 and 72 are fine for themselves; where the decoder concatenates them,
  // 72 + 72 = 144 is over 128 and no multiple of 32.
  EXPECT_THAT(Refusal([](ModelConfig& c) {
                c.num_channels_dae = 36;
                c.ch_mult = {1, 2};
              }),
              AllOf(HasSubstr("ch_mult = [1, 2]"), HasSubstr("144 channels"),
                    HasSubstr("multiple of 32")));
}

TEST(ModelConfigTest, ScheduleEndPointsGiveNoNan) {
  // The published command line's defaults with the geometric flag.
  EXPECT_THAT(
      Refusal([](ModelConfig& c) { c.use_geometric = true; }),
      AllOf(HasSubstr("beta_max = 20"), HasSubstr("use_geometric = true")));
  EXPECT_EQ(Refusal([](ModelConfig& c) {
              c.use_geometric = true;
              c.beta_min = 3e-5;
              c.beta_max = 0.999;
            }),
            "accepted");
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.beta_min = 0; }),
              HasSubstr("beta_min = 0"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.beta_min = 21; }),
              HasSubstr("beta_min = 21"));
  EXPECT_THAT(Refusal([](ModelConfig& c) {
                c.beta_max = std::numeric_limits<double>::infinity();
              }),
              HasSubstr("beta_max = inf"));
}

TEST(ModelConfigTest, AskingForAbsurdMemoryIsRefused) {
  // Attention over every pixel of a large image, in the middle or by option.
  EXPECT_THAT(Refusal([](ModelConfig& c) {
                c.image_size = 1024;
                c.ch_mult = {1};
                c.attn_resolutions = {};
              }),
              HasSubstr("attention runs at 1024 pixels"));
  EXPECT_THAT(Refusal([](ModelConfig& c) { c.attn_resolutions = {1024}; }),
              HasSubstr("attn_resolutions = 1024"));
  EXPECT_THAT(
      Refusal([](ModelConfig& c) { c.attn_resolutions.assign(17, 16); }),
      HasSubstr("attn_resolutions has 17 entries"));
  EXPECT_THAT(Refusal([](ModelConfig& c) {
                c.image_size = 1024;
                c.num_channels_dae = 1024;
                c.ch_mult = {1, 1, 1, 1, 1};
                c.attn_resolutions = {};
              }),
              HasSubstr("values per image"));
  EXPECT_THAT(Refusal([](ModelConfig& c) {
                c.num_channels_dae = 1024;
                c.ch_mult = {8, 8, 8};
              }),
              HasSubstr("weights, and"));
}

}  // namespace
}  // namespace ddgan
