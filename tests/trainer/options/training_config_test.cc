#include "trainer/options/training_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint_format.h"
#include "tests/fakes/temporary_folder.h"
#include "tests_folder.h"
#include "trainer/import/architecture.h"
#include "trainer/options/builtin_configs.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TrainerOptions Resolve(const std::string& config,
                       const std::vector<GivenOption>& flags = {}) {
  const absl::StatusOr<TrainerOptions> options = ResolveOptions(config, flags);
  EXPECT_TRUE(options.ok()) << options.status();
  return options.ok() ? *options : TrainerOptions();
}

std::string Refusal(const std::string& json) {
  const auto options = ParseTrainingConfig(json, "a.json");
  return options.ok() ? "accepted" : std::string(options.status().message());
}

std::string FlagRefusal(const std::string& name, const std::string& text) {
  const auto options = ResolveOptions("", {{name, text}});
  return options.ok() ? "accepted" : std::string(options.status().message());
}

// Images per step, epochs, lr_g, lr_d, r1_gamma, lazy_reg, ema_decay.
void ExpectPublished(const TrainerOptions& options, int batch, int epochs,
                     double lr_g, double lr_d, double r1_gamma, int lazy_reg,
                     double ema_decay) {
  EXPECT_EQ(options.batch_size, batch);
  EXPECT_EQ(options.num_epoch, epochs);
  EXPECT_EQ(options.lr_g, lr_g);
  EXPECT_EQ(options.lr_d, lr_d);
  EXPECT_EQ(options.r1_gamma, r1_gamma);
  EXPECT_EQ(options.lazy_reg, lazy_reg);
  EXPECT_EQ(options.ema_decay, ema_decay);
  EXPECT_EQ(options.ngf, 64);
  EXPECT_EQ(options.t_emb_dim, 256);
  EXPECT_EQ(options.seed, 1024u);
  EXPECT_EQ(options.networks, "ncsnpp");
  EXPECT_TRUE(options.flip);
}

TEST(BuiltinConfigTest, AllAreThereAndValid) {
  std::vector<std::string> names;
  for (const BuiltinConfig& config : BuiltinConfigs()) {
    names.push_back(config.name);
    TrainerOptions options =
        Resolve(config.name, {{"data", "data"}, {"out", "out"}});
    if (options.dataset == "25_gaussians") options.data.clear();
    EXPECT_EQ(options.model, config.name);
    const absl::Status status = ValidateTrainerOptions(options, 1);
    EXPECT_TRUE(status.ok()) << config.name << ": " << status;
  }
  EXPECT_THAT(names, ElementsAre("25_gaussians", "celebahq_256", "cifar10",
                                 "lsun_church_256", "mnist", "stacked_mnist"));
}

TEST(BuiltinConfigTest, Cifar10IsThePublishedOne) {
  const TrainerOptions options = Resolve("cifar10");
  EXPECT_EQ(options.dataset, "cifar10");
  EXPECT_EQ(options.model_config, PublishedPreset("cifar10"));
  ExpectPublished(options, 64 * 4, 1800, 1.6e-4, 1.25e-4, 0.02, 15, 0.9999);
}

TEST(BuiltinConfigTest, CelebaHq256IsThePublishedOne) {
  const TrainerOptions options = Resolve("celebahq_256");
  EXPECT_EQ(options.dataset, "lmdb");
  EXPECT_EQ(options.model_config, PublishedPreset("celebahq256"));
  EXPECT_EQ(options.model_config.num_timesteps, 2);
  ExpectPublished(options, 4 * 8, 800, 2e-4, 1e-4, 2.0, 10, 0.9999);
}

TEST(BuiltinConfigTest, LsunChurch256IsThePublishedOne) {
  const TrainerOptions options = Resolve("lsun_church_256");
  EXPECT_EQ(options.dataset, "lmdb");
  EXPECT_EQ(options.dataset_limit, 120000);
  EXPECT_EQ(options.model_config, PublishedPreset("lsun256"));
  ExpectPublished(options, 8 * 8, 500, 1.6e-4, 1e-4, 1.0, 10, 0.999);
}

// What the bundled model was trained with.
TEST(BuiltinConfigTest, MnistIsTheBundledModels) {
  TrainerOptions bundled;
  bundled.model_config.num_channels = 1;
  bundled.model_config.num_channels_dae = 16;
  bundled.model_config.ch_mult = {1, 2, 2};
  bundled.model_config.num_res_blocks = 1;
  bundled.model_config.nz = 32;
  bundled.model_config.z_emb_dim = 32;
  bundled.model_config.n_mlp = 2;
  bundled.ngf = 8;
  bundled.t_emb_dim = 64;
  bundled.batch_size = 32;
  bundled.lr_g = 2e-4;
  bundled.lr_d = 5e-4;
  bundled.r1_gamma = 0.02;
  bundled.lazy_reg = 15;
  bundled.ema_decay = 0.999;
  bundled.num_epoch = 6;
  bundled.max_steps = 12060;
  bundled.seed = 1;
  const TrainerOptions options = Resolve("mnist");
  EXPECT_EQ(EffectiveConfigJson(options), EffectiveConfigJson(bundled));
  EXPECT_EQ(options.threads, 1);
  const absl::StatusOr<CheckpointConfig> published = ParseCheckpointConfig(
      ReadBytes(DDGAN_TESTS_DIR "/../deploy/models/mnist/12060/config.json"));
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_EQ(options.model_config, published->model_config);
}

TEST(BuiltinConfigTest, PointsHaveTheToyNetworksAndNoData) {
  const TrainerOptions options = Resolve("25_gaussians", {{"out", "out"}});
  EXPECT_EQ(options.networks, "toy_mlp");
  EXPECT_EQ(options.toy_width, 256);
  EXPECT_EQ(options.batch_size, 512);
  EXPECT_EQ(options.num_epoch, 102);
  EXPECT_EQ(options.model_config.num_timesteps, 4);
  EXPECT_TRUE(ValidateTrainerOptions(options, 1).ok());
}

TEST(BuiltinConfigTest, TableHasNameImagesStepsAndParameters) {
  const absl::StatusOr<std::string> table = BuiltinConfigTable();
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(*table,
              HasSubstr("cifar10           cifar10 3x32x32         4    48.43 "
                        "M  CIFAR-10; the published"));
  EXPECT_THAT(*table, HasSubstr("25_gaussians points     4          -  25 "));
  EXPECT_EQ(std::count(table->begin(), table->end(), '\n'), 7);
}

TEST(ResolveOptionsTest, AFlagOverridesTheConfigAndTheConfigTheDefault) {
  const TrainerOptions options = Resolve("cifar10", {{"num_epoch", "5"},
                                                     {"ch_mult", "1,2"},
                                                     {"flip", "false"},
                                                     {"num_epoch", "6"}});
  EXPECT_EQ(options.num_epoch, 6);
  EXPECT_THAT(options.model_config.ch_mult, ElementsAre(1, 2));
  EXPECT_FALSE(options.flip);
  EXPECT_EQ(options.batch_size, 256);
  EXPECT_EQ(options.save_every, TrainerOptions().save_every);
}

// Though it is the value that a missing flag has.
TEST(ResolveOptionsTest, AFlagWithTheDefaultsValueOverridesTheConfig) {
  EXPECT_EQ(Resolve("cifar10", {{"batch_size", "128"}}).batch_size, 128);
}

TEST(ResolveOptionsTest, ModelChannelsAndNetworksFollowTheDataSet) {
  EXPECT_EQ(Resolve("").model_config.num_channels, 1);
  EXPECT_EQ(Resolve("").model, "mnist");
  const TrainerOptions cifar10 = Resolve("", {{"dataset", "cifar10"}});
  EXPECT_EQ(cifar10.model_config.num_channels, 3);
  EXPECT_EQ(cifar10.model, "cifar10");
  EXPECT_EQ(Resolve("", {{"dataset", "25_gaussians"}}).networks, "toy_mlp");
  EXPECT_EQ(Resolve("", {{"dataset", "cifar10"}, {"num_channels", "1"}})
                .model_config.num_channels,
            1);
}

TEST(ResolveOptionsTest, ReadsEveryTypeOfFlag) {
  const TrainerOptions options = Resolve("", {{"seed", "18446744073709551615"},
                                              {"lr_g", "1e-3"},
                                              {"attn_resolutions", ""},
                                              {"max_steps", "1000000000"},
                                              {"resume", "never"},
                                              {"data", "a \"folder\", [1]"}});
  EXPECT_EQ(options.seed, 18446744073709551615u);
  EXPECT_EQ(options.lr_g, 1e-3);
  EXPECT_THAT(options.model_config.attn_resolutions, ElementsAre());
  EXPECT_EQ(options.max_steps, 1000000000);
  EXPECT_EQ(options.resume, ResumePolicy::kNever);
  EXPECT_EQ(options.data, "a \"folder\", [1]");
}

TEST(ResolveOptionsTest, NamesFlagValueAndTypeOfWhatItRefuses) {
  EXPECT_EQ(FlagRefusal("ch_mult", "1,x"),
            "--ch_mult is 1,x, must be a list of whole numbers");
  EXPECT_EQ(FlagRefusal("ch_mult", "1],[2"),
            "--ch_mult is 1],[2, must be a list of whole numbers");
  EXPECT_EQ(FlagRefusal("batch_size", "1.5"),
            "--batch_size is 1.5, must be a whole number in [1, 65536]");
  EXPECT_EQ(
      FlagRefusal("seed", "-1"),
      "--seed is -1, must be a whole number in [0, 18446744073709551615]");
  EXPECT_EQ(FlagRefusal("lr_g", "nan"),
            "--lr_g is nan, must be a number in [1e-12, 1]");
  EXPECT_EQ(FlagRefusal("flip", "maybe"),
            "--flip is maybe, must be one of: true, false");
  EXPECT_EQ(FlagRefusal("resume", "later"),
            "--resume is later, must be one of: auto, never");
  EXPECT_EQ(FlagRefusal("batchsize", "4"),
            "unknown flag --batchsize; did you mean --batch_size?");
}

TEST(ResolveOptionsTest, AnUnknownConfigListsThoseThatAreThere) {
  const absl::Status status = ResolveOptions("cifar100", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("--config is \"cifar100\""),
                    HasSubstr("25_gaussians, celebahq_256, cifar10,")));
}

TEST(ResolveOptionsTest, ReadsAFileOfTheUsers) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "own").string();
  WriteBytes(path, R"({"description": "mine", "nz": 7, "dataset": "lmdb"})");
  const TrainerOptions options = Resolve(path, {{"seed", "3"}});
  EXPECT_EQ(options.model_config.nz, 7);
  EXPECT_EQ(options.seed, 3u);
  EXPECT_EQ(options.model, "lmdb");

  WriteBytes(path, std::string((64 << 10) + 1, ' '));
  EXPECT_THAT(std::string(ResolveOptions(path, {}).status().message()),
              HasSubstr("own: has more than 65536 bytes"));
  const absl::Status missing =
      ResolveOptions((folder.path() / "none.json").string(), {}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("none.json"));
  EXPECT_FALSE(ResolveOptions(folder.path().string(), {}).ok());
}

TEST(ParseTrainingConfigTest, NamesWhatItRefuses) {
  EXPECT_EQ(Refusal(R"({"ch_mult": "1,2,2"})"),
            "a.json: \"ch_mult\" is \"1,2,2\", must be a list of whole "
            "numbers");
  EXPECT_EQ(Refusal(R"({"ch_mult": [1, 2.5]})"),
            "a.json: \"ch_mult\" is [1,2.5], must be a list of whole numbers");
  EXPECT_EQ(Refusal(R"({"lr_g": "1e-4"})"),
            "a.json: \"lr_g\" is \"1e-4\", must be a number in [1e-12, 1]");
  EXPECT_EQ(Refusal(R"({"nz": 0})"),
            "a.json: \"nz\" is 0, must be a whole number in [1, 4096]");
  EXPECT_EQ(Refusal(R"({"nz": "7"})"),
            "a.json: \"nz\" is \"7\", must be a whole number in [1, 4096]");
  EXPECT_EQ(Refusal(R"({"init_from": 7})"),
            "a.json: \"init_from\" is 7, must be a string");
  EXPECT_EQ(Refusal(R"({"flip": 1})"),
            "a.json: \"flip\" is 1, must be one of: true, false");
  EXPECT_EQ(Refusal(R"({"description": 1})"),
            "a.json: \"description\" is 1, must be a string");
  EXPECT_EQ(Refusal(R"({"num_timestep": 4})"),
            "a.json: unknown key \"num_timestep\"; did you mean "
            "num_timesteps?");
  EXPECT_EQ(Refusal(R"({"fir_kernel": [1, 1, 1, 1]})"),
            "a.json: unknown key \"fir_kernel\"; --help lists the flags");
  EXPECT_EQ(Refusal(R"({"nz": 1, "nz": 2})"),
            "a.json: key \"nz\" appears twice");
  EXPECT_EQ(Refusal("[]"), "a.json: is not a JSON object");
  EXPECT_THAT(Refusal("{"), HasSubstr("a.json: not valid JSON at byte"));
  EXPECT_THAT(Refusal("{\"" + std::string(5000, 'x') + "\": 1}"),
              HasSubstr("unknown key \"xxx"));
}

TEST(ParseTrainingConfigTest, ReadsBackTheEffectiveConfig) {
  for (const BuiltinConfig& config : BuiltinConfigs()) {
    const TrainerOptions options =
        Resolve(config.name, {{"beta_max", "19.3"},
                              {"seed", "18446744073709551615"},
                              {"init_from", "some/where/7"},
                              {"precision", "tf32"},
                              {"attn_resolutions", "8,4"}});
    const absl::StatusOr<TrainerOptions> again =
        ParseTrainingConfig(EffectiveConfigJson(options), "effective");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(EffectiveConfigJson(*again), EffectiveConfigJson(options));
    EXPECT_EQ(RunFingerprint(*again), RunFingerprint(options));
    EXPECT_EQ(again->model_config, options.model_config);
    EXPECT_EQ(again->init_from, "some/where/7");
    EXPECT_EQ(again->precision, "tf32");
  }
}

}  // namespace
}  // namespace ddgan
