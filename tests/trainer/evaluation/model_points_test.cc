// Versions of points, published with weights that are drawn.
#include "trainer/evaluation/model_points.h"

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/checkpoint/safetensors.h"
#include "tests/fakes/temporary_folder.h"
#include "tests_folder.h"
#include "trainer/networks/toy_networks.h"
#include "trainer/run/checkpoint_publisher.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kWidth = 8;

CheckpointConfig PointsConfig() {
  CheckpointConfig config;
  config.model_config.resblock_type = "toy_mlp";
  config.model_config.image_size = 1;
  config.model_config.num_channels = 2;
  config.model_config.num_channels_dae = kWidth;
  config.model_config.nz = 3;
  config.model = "points";
  config.dataset = "25_gaussians";
  config.created = "2026-11-24T04:00:00Z";
  config.trainer_version = "test";
  return config;
}

class ModelPointsTest : public testing::Test {
 protected:
  // The folder of the published version.
  std::filesystem::path Publish(const CheckpointConfig& config) {
    const std::vector<ParameterPlan> plan =
        PlanToyGenerator(kWidth, config.model_config.nz);
    const Parameters weights = InitialParameters(plan, 3);
    std::vector<TensorView> views;
    for (size_t i = 0; i < plan.size(); ++i) {
      views.push_back({plan[i].name,
                       DType::kFloat32,
                       weights[i].sizes().vec(),
                       {static_cast<const char*>(weights[i].const_data_ptr()),
                        weights[i].nbytes()}});
    }
    const auto published = PublishCheckpoint(
        folder_.path(), ++version_, config, SerializeSafetensors(views).value(),
        Readers::kNoServer);
    EXPECT_TRUE(published.ok()) << published.status();
    return folder_.path() / "points" / std::to_string(version_);
  }

  std::vector<float> Points(const CheckpointConfig& config,
                            const std::string& sampler, int evaluations,
                            std::vector<int64_t> counts) {
    const auto checkpoint = ReadPointsVersion(Publish(config));
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    const auto model =
        ModelPoints::Create(*checkpoint, {.seed = 9, .sampler = sampler});
    EXPECT_TRUE(model.ok()) << model.status();
    EXPECT_EQ((*model)->evaluations_per_point(), evaluations);
    std::vector<float> points;
    int64_t made = 0;
    for (const int64_t count : counts) {
      const std::vector<float> next = (*model)->Next(count).value();
      EXPECT_THAT(next, SizeIs(2 * count));
      points.insert(points.end(), next.begin(), next.end());
      made += count;
      EXPECT_EQ((*model)->points(), made);
    }
    return points;
  }

  const TemporaryFolder folder_;
  int64_t version_ = 0;
};

double LargestDifference(const std::vector<float>& a,
                         const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  return largest;
}

TEST_F(ModelPointsTest, PointsAreThoseOfTheSeedWhateverTheBatch) {
  const std::vector<float> all = Points(PointsConfig(), "", 4, {7});
  EXPECT_LT(LargestDifference(all, Points(PointsConfig(), "", 4, {1, 4, 2})),
            1e-5);
  EXPECT_GT(std::abs(all[0] - all[2]), 1e-4);
}

TEST_F(ModelPointsTest, EveryRuleHasItsEvaluations) {
  CheckpointConfig config = PointsConfig();
  config.model_config.num_timesteps = 1000;
  config.model_config.objective = "denoising";
  config.model_config.sampler = "ddim:20";
  const std::vector<float> own = Points(config, "", 20, {3});
  EXPECT_EQ(Points(config, "ddim:20", 20, {3}), own);
  EXPECT_NE(Points(config, "ancestral", 1000, {3}), own);
  EXPECT_NE(Points(config, "pc", 1999, {3}), own);
  const auto checkpoint = ReadPointsVersion(Publish(config));
  EXPECT_EQ(
      ModelPoints::Create(*checkpoint, {.sampler = "ddim"}).status().message(),
      "sampler = \"ddim\" is not allowed: must be ancestral, ddim:K with K in "
      "[1, 1000], or pc");
}

TEST_F(ModelPointsTest, RefusesACountThatMakesNoSense) {
  const auto checkpoint = ReadPointsVersion(Publish(PointsConfig()));
  const auto model = ModelPoints::Create(*checkpoint, {});
  for (const int64_t count : {int64_t{0}, int64_t{-1}, int64_t{1} << 40}) {
    EXPECT_EQ((*model)->Next(count).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ((*model)->points(), 0);
}

TEST_F(ModelPointsTest, RefusesWhatIsNoVersionOfPoints) {
  const auto message = [](const std::filesystem::path& folder) {
    return std::string(ReadPointsVersion(folder).status().message());
  };
  EXPECT_THAT(message(std::filesystem::path(DDGAN_TESTS_DIR) / ".." / "deploy" /
                      "models" / "mnist" / "12060"),
              HasSubstr("resblock_type = \"biggan\": a version of points has "
                        "\"toy_mlp\""));
  EXPECT_THAT(message(folder_.path()), HasSubstr("must end in MODEL/VERSION"));
  CheckpointConfig config = PointsConfig();
  config.model_config.num_timesteps = 1001;
  EXPECT_THAT(message(Publish(config)),
              AllOf(HasSubstr("--model is '"),
                    HasSubstr("num_timesteps = 1001 is not allowed")));
  config = PointsConfig();
  config.model_config.num_channels_dae = 5000;
  EXPECT_THAT(message(Publish(config)), HasSubstr("num_channels_dae = 5000"));
  // Weights of another width than the config says.
  config = PointsConfig();
  config.model_config.num_channels_dae = kWidth + 1;
  EXPECT_THAT(message(Publish(config)), HasSubstr("generator.0.weight"));
}

}  // namespace
}  // namespace ddgan
