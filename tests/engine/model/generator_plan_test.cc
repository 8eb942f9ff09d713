#include "engine/model/generator_plan.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "engine/checkpoint/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/temporary_folder.h"
#include "tests_folder.h"

namespace ddgan {
namespace {

using ::testing::UnorderedElementsAreArray;

std::string GoldenPath(const std::string& name) {
  return std::string(DDGAN_TESTS_DIR) + "/golden/" + name;
}

// One line of keys_*.tsv.
struct ListedKey {
  std::string name;
  std::string shape;  // "128x3x3x3"
  std::string init;   // "U, scale 1, fan_avg", "0", ...
  double bound = 0;   // 0 where init is a constant
};

std::vector<ListedKey> ReadKeyList(const std::string& name) {
  std::istringstream file(ReadBytes(GoldenPath(name)));
  std::vector<ListedKey> keys;
  std::string line;
  std::getline(file, line);  // The column names.
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    ListedKey key;
    std::string count;
    std::string bound;
    std::getline(fields, key.name, '\t');
    std::getline(fields, key.shape, '\t');
    std::getline(fields, count, '\t');
    std::getline(fields, key.init, '\t');
    std::getline(fields, bound, '\t');
    if (!bound.empty()) key.bound = std::stod(bound);
    keys.push_back(key);
  }
  return keys;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

void ExpectInitAsListed(const ParameterInit& init, const ListedKey& key) {
  SCOPED_TRACE(key.name);
  if (key.bound != 0) {
    EXPECT_NEAR(init.bound / key.bound, 1, 1e-8);
    return;
  }
  EXPECT_EQ(init.bound, 0);
  EXPECT_EQ(init.first_half, key.init == "0" ? 0 : 1);
  EXPECT_EQ(init.second_half, key.init == "1" ? 1 : 0);
}

void ExpectPlanAsListed(const ModelConfig& config, const std::string& list) {
  const std::vector<ListedKey> keys = ReadKeyList(list);
  const std::vector<ParameterPlan> plan = PlanGenerator(config).parameters;
  ASSERT_EQ(plan.size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(plan[i].name, keys[i].name);
    EXPECT_EQ(ShapeText(plan[i].shape), keys[i].shape) << keys[i].name;
    ExpectInitAsListed(plan[i].init, keys[i]);
  }
}

TEST(GeneratorPlanTest, NamesShapesOrderAndInitsAreTheListedOnesForCifar10) {
  ExpectPlanAsListed(ModelConfig(), "keys_netG_cifar10.tsv");
}

TEST(GeneratorPlanTest, NamesShapesOrderAndInitsAreTheListedOnesFor256Pixels) {
  ModelConfig config;
  config.image_size = 256;
  config.num_channels_dae = 64;
  config.ch_mult = {1, 1, 2, 2, 4, 4};
  config.n_mlp = 3;
  ExpectPlanAsListed(config, "keys_netG_celebahq256_lsun256.tsv");
}

TEST(GeneratorPlanTest, Cifar10ModulesAreNumberedAsInTheReference) {
  const std::vector<ModulePlan> modules = PlanGenerator(ModelConfig()).modules;
  ASSERT_EQ(modules.size(), 40u);
  const auto expect = [&](int i, ModuleKind kind, int in, int out, int res) {
    SCOPED_TRACE(i);
    EXPECT_EQ(modules[i].kind, kind);
    EXPECT_EQ(modules[i].in_channels, in);
    EXPECT_EQ(modules[i].out_channels, out);
    EXPECT_EQ(modules[i].resolution, res);
  };
  expect(1, ModuleKind::kLinear, 512, 512, 0);
  expect(2, ModuleKind::kConv3x3, 3, 128, 32);
  expect(5, ModuleKind::kResBlockDown, 128, 128, 32);
  expect(6, ModuleKind::kConvDown, 3, 128, 32);
  expect(8, ModuleKind::kAttention, 256, 256, 16);
  expect(12, ModuleKind::kConvDown, 128, 256, 16);
  expect(20, ModuleKind::kAttention, 256, 256, 4);
  expect(29, ModuleKind::kResBlockUp, 256, 256, 8);
  expect(32, ModuleKind::kResBlock, 384, 256, 16);
  expect(33, ModuleKind::kAttention, 256, 256, 16);
  expect(35, ModuleKind::kResBlock, 384, 128, 32);
  expect(38, ModuleKind::kGroupNorm, 128, 128, 32);
  expect(39, ModuleKind::kConv3x3, 128, 3, 32);
}

// The options' names are those of the fixture's config; those of training are
// not read.
ModelConfig ConfigOfFixture(const SafetensorsView& fixture) {
  const nlohmann::json json =
      nlohmann::json::parse(fixture.metadata.at("config"));
  ModelConfig config;
  config.image_size = json["image_size"];
  config.num_channels = json["num_channels"];
  config.num_channels_dae = json["num_channels_dae"];
  config.ch_mult = json["ch_mult"].get<std::vector<int>>();
  config.num_res_blocks = json["num_res_blocks"];
  config.attn_resolutions = json["attn_resolutions"].get<std::vector<int>>();
  config.progressive = json["progressive"];
  config.progressive_input = json["progressive_input"];
  config.nz = json["nz"];
  config.z_emb_dim = json["z_emb_dim"];
  config.n_mlp = json["n_mlp"];
  return config;
}

class GeneratorPlanFixtureTest : public ::testing::TestWithParam<const char*> {
};

TEST_P(GeneratorPlanFixtureTest, HasTheFixturesWeightsAndNoOthers) {
  const std::string file =
      ReadBytes(GoldenPath(GetParam() + std::string(".safetensors")));
  const absl::StatusOr<SafetensorsView> fixture = ParseSafetensors(file);
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  std::vector<std::pair<std::string, std::vector<int64_t>>> expected;
  for (const TensorView& tensor : fixture->tensors) {
    if (tensor.name.rfind("sd.", 0) == 0)
      expected.push_back({tensor.name.substr(3), tensor.shape});
  }
  const ModelConfig config = ConfigOfFixture(*fixture);
  EXPECT_TRUE(ValidateModelConfig(config).ok());
  std::vector<std::pair<std::string, std::vector<int64_t>>> planned;
  for (const ParameterPlan& parameter : PlanGenerator(config).parameters)
    planned.push_back({parameter.name, parameter.shape});
  EXPECT_THAT(planned, UnorderedElementsAreArray(expected));
}

INSTANTIATE_TEST_SUITE_P(Golden, GeneratorPlanFixtureTest,
                         ::testing::Values("gen_small",
                                           "gen_tiny_outskip_inskip",
                                           "gen_tiny_none_none"));

TEST(GeneratorPlanTest, OutputConvolutionsStartAtAlmostNothing) {
  ModelConfig config;
  config.progressive = "output_skip";
  const GeneratorPlan plan = PlanGenerator(config);
  int heads = 0;
  for (size_t i = 1; i < plan.modules.size(); ++i) {
    if (plan.modules[i - 1].kind != ModuleKind::kGroupNorm) continue;
    const std::string name = "all_modules." + std::to_string(i) + ".weight";
    for (const ParameterPlan& parameter : plan.parameters) {
      if (parameter.name == name) {
        EXPECT_LT(parameter.init.bound, 1e-5) << name;
        ++heads;
      }
    }
  }
  EXPECT_EQ(heads, 4);  // One per level.
}

TEST(GeneratorPlanTest, GroupsAreAQuarterOfTheChannelsUpTo32) {
  EXPECT_EQ(GroupNormGroups(4), 1);
  EXPECT_EQ(GroupNormGroups(128), 32);
  EXPECT_EQ(GroupNormGroups(160), 32);
}

TEST(GeneratorPlanTest, OnlyBlocksThatChangeWidthOrResolutionConvolveTheSkip) {
  EXPECT_FALSE(HasSkipConv({ModuleKind::kResBlock, 8, 8, 16}));
  EXPECT_TRUE(HasSkipConv({ModuleKind::kResBlock, 8, 16, 16}));
  EXPECT_TRUE(HasSkipConv({ModuleKind::kResBlockUp, 8, 8, 16}));
  EXPECT_FALSE(HasSkipConv({ModuleKind::kConv3x3, 8, 16, 16}));
}

}  // namespace
}  // namespace ddgan
