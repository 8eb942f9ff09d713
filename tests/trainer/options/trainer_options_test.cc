#include "trainer/options/trainer_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TrainerOptions Valid() {
  TrainerOptions options;
  options.data = "data";
  options.out = "out";
  return options;
}

std::string Refusal(const TrainerOptions& options, int world_size = 1) {
  const absl::Status status = ValidateTrainerOptions(options, world_size);
  return status.ok() ? "accepted" : std::string(status.message());
}

TEST(ValidateTrainerOptionsTest, NamesFlagValueAndRange) {
  EXPECT_EQ(Refusal(Valid()), "accepted");
  TrainerOptions options = Valid();
  options.data_threads = 65;
  EXPECT_EQ(Refusal(options),
            "--data_threads is 65, must be a whole number in [1, 64]");
  options = Valid();
  options.publish_every = 0;
  EXPECT_EQ(Refusal(options),
            "--publish_every is 0, must be a whole number in [1, 1000000000]");
  options = Valid();
  options.max_hours = -0.5;
  EXPECT_EQ(Refusal(options),
            "--max_hours is -0.5, must be a number in [0, 100000]");
  options = Valid();
  options.lr_g = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(Refusal(options), HasSubstr("--lr_g is "));
  options = Valid();
  options.precision = "float16";
  EXPECT_EQ(Refusal(options),
            "--precision is float16, must be one of: float32, tf32, bfloat16");
  options = Valid();
  options.t_emb_dim = 5;
  EXPECT_EQ(Refusal(options), "--t_emb_dim is 5, must be even");
  options = Valid();
  options.model_config.num_channels = 2;
  EXPECT_THAT(Refusal(options), HasSubstr("num_channels = 2"));
}

TEST(ValidateTrainerOptionsTest, DataAreRequiredUnlessTheyAreDrawn) {
  TrainerOptions options = Valid();
  options.data = "";
  EXPECT_THAT(Refusal(options), HasSubstr("--data is required"));
  options.dataset = "25_gaussians";
  options.networks = "toy_mlp";
  EXPECT_EQ(Refusal(options), "accepted");
  options.out = "";
  EXPECT_THAT(Refusal(options), HasSubstr("--out is required"));
}

TEST(ValidateTrainerOptionsTest, ClassesAreNamesOfFolders) {
  TrainerOptions options = Valid();
  options.classes = "ship,horse";
  EXPECT_EQ(Refusal(options),
            "--classes is \"ship,horse\" and --dataset is \"mnist\": only "
            "image_folder has classes");
  options.dataset = "image_folder";
  EXPECT_EQ(Refusal(options), "accepted");
  EXPECT_THAT(ClassNames(options), ElementsAre("ship", "horse"));
  options.classes = "ship,";
  EXPECT_EQ(Refusal(options),
            "--classes is \"ship,\", must be names of folders with commas "
            "between them");
  options.classes = "";
  EXPECT_THAT(ClassNames(options), IsEmpty());
}

TEST(ValidateTrainerOptionsTest, ToyNetworksGoWithPointsAndOnlyWithThem) {
  TrainerOptions options = Valid();
  options.networks = "toy_mlp";
  EXPECT_THAT(Refusal(options), HasSubstr("goes with 25_gaussians"));
  options = Valid();
  options.dataset = "25_gaussians";
  EXPECT_THAT(Refusal(options), HasSubstr("goes with 25_gaussians"));
}

TEST(ValidateTrainerOptionsTest, EveryPartOfABatchHasWholeGroups) {
  TrainerOptions options = Valid();
  options.batch_size = 24;
  EXPECT_EQ(Refusal(options, 1), "accepted");
  EXPECT_EQ(Refusal(options, 2), "accepted");
  EXPECT_EQ(Refusal(options, 6), "accepted");
  EXPECT_THAT(Refusal(options, 8), HasSubstr("3 images"));
  EXPECT_THAT(Refusal(options, 4),
              AllOf(HasSubstr("--batch_size is 24"), HasSubstr("6 images")));
  EXPECT_THAT(Refusal(options, 5), AllOf(HasSubstr("--batch_size is 24"),
                                         HasSubstr("must be a multiple of 5")));
  EXPECT_THAT(Refusal(options, 0), HasSubstr("processes is 0"));
  options.accumulate = 2;
  EXPECT_THAT(Refusal(options, 2), HasSubstr("6 images"));
  options.accumulate = 7;
  EXPECT_THAT(Refusal(options, 1),
              HasSubstr("must be a multiple of 7, which is processes (1) x "
                        "--accumulate (7)"));
  options.accumulate = 12;  // A group of two is none of four.
  EXPECT_EQ(Refusal(options),
            "--batch_size is 24, which gives each of 12 parts (1 processes x "
            "12 micro-batches) 2 images, must be a multiple of 4 (groups of "
            "the minibatch standard deviation)");
  options.accumulate = 1024;
  EXPECT_THAT(Refusal(options, std::numeric_limits<int>::max()),
              HasSubstr("--batch_size is 24"));
  options.accumulate = 1;
  options.batch_size = 6;
  EXPECT_EQ(Refusal(options),
            "--batch_size is 6, must be at most 4 or a multiple of 4 (groups "
            "of the minibatch standard deviation)");
  options.batch_size = 4;
  EXPECT_EQ(Refusal(options), "accepted");
  EXPECT_THAT(Refusal(options, 2), HasSubstr("2 images"));
  options.batch_size = 3;
  EXPECT_EQ(Refusal(options), "accepted");
  options.data.clear();
  options.dataset = "25_gaussians";
  options.networks = "toy_mlp";
  EXPECT_EQ(Refusal(options, 3), "accepted");
}

TEST(ValidateTrainerOptionsTest, PointsHaveNoFilesAndCpusNoTf32) {
  TrainerOptions points = Valid();
  points.data.clear();
  points.dataset = "25_gaussians";
  points.networks = "toy_mlp";
  EXPECT_EQ(Refusal(points), "accepted");
  TrainerOptions options = points;
  options.data = "/nowhere";
  EXPECT_EQ(Refusal(options),
            "--data is given and --dataset is \"25_gaussians\", which has no "
            "files");
  options = points;
  options.flip = true;
  EXPECT_THAT(Refusal(options), HasSubstr("--flip is given"));
  options = points;
  options.convert = "rgb";
  EXPECT_THAT(Refusal(options), HasSubstr("--convert is given"));
  options = points;
  options.dataset_limit = 5;
  EXPECT_THAT(Refusal(options), HasSubstr("--dataset_limit is given"));
  options = points;
  options.init_from = "models/25_gaussians/2";
  EXPECT_THAT(Refusal(options), HasSubstr("no versions to start from"));

  options = Valid();
  options.precision = "tf32";
  EXPECT_EQ(
      Refusal(options),
      "--precision is \"tf32\" and --device is \"cpu\": only GPUs compute "
      "in TF32");
  options.device = "cuda";
  EXPECT_EQ(Refusal(options), "accepted");
}

TEST(ValidateTrainerOptionsTest, ADenoiserHasNoDiscriminatorToObey) {
  TrainerOptions options = Valid();
  options.model_config.objective = "denoising";
  options.model_config.num_timesteps = 1000;
  options.batch_size = 6;
  EXPECT_EQ(Refusal(options, 3), "accepted");
  options.discriminator_head_start = 1;
  EXPECT_EQ(Refusal(options),
            "--discriminator_head_start is 1, must be 0: with "
            "--objective=denoising there is no discriminator");
  options = Valid();
  options.model_config.sampler = "ddim:9";
  EXPECT_THAT(Refusal(options), HasSubstr("sampler = \"ddim:9\""));
}

TEST(ValidateTrainerOptionsTest, MetricsNeedHostAndPort) {
  TrainerOptions options = Valid();
  for (const char* address : {"0.0.0.0:9100", "[::1]:0", ""}) {
    options.metrics_listen = address;
    EXPECT_EQ(Refusal(options), "accepted") << address;
  }
  for (const char* address : {"9100", ":9100", "host:", "host:65536", "h:-1"}) {
    options.metrics_listen = address;
    EXPECT_THAT(Refusal(options), HasSubstr("must be host:port")) << address;
  }
}

TEST(RunFingerprintTest, IsWhatMustStayWhenARunIsResumed) {
  const std::string fingerprint = RunFingerprint(Valid());
  TrainerOptions other = Valid();
  other.data = other.out = other.run_dir = "elsewhere";
  other.device = "cuda";
  other.precision = "bfloat16";
  other.threads = 3;
  other.data_threads = 2;
  other.accumulate = 2;
  other.num_epoch = 7;
  other.max_steps = 7;
  other.max_hours = 7;
  other.lr_g = other.lr_d = 1e-5;
  other.r1_gamma = 7;
  other.lazy_reg = 7;
  other.ema_decay = 0.5;
  other.model_config.sampler = "pc";
  other.log_every = other.save_every = other.publish_every = 7;
  other.resume = ResumePolicy::kNever;
  EXPECT_EQ(RunFingerprint(other), fingerprint);

  other = Valid();
  other.flip = true;
  EXPECT_NE(RunFingerprint(other), fingerprint);
  other = Valid();
  other.convert = "rgb";  // Other images are used, and other pixels of them.
  EXPECT_NE(RunFingerprint(other), fingerprint);
  other = Valid();
  other.batch_size = 64;
  EXPECT_NE(RunFingerprint(other), fingerprint);
  other = Valid();
  other.model_config.nz = 64;
  EXPECT_NE(RunFingerprint(other), fingerprint);
}

TEST(EffectiveConfigTest, IsSortedAndKeepsMachineAndPathsToItself) {
  TrainerOptions options = Valid();
  options.lr_g = 1.6e-4;
  const std::string json = EffectiveConfigJson(options);
  EXPECT_THAT(json, HasSubstr("{\n  \"attn_resolutions\": ["));
  EXPECT_THAT(json, HasSubstr("\n  \"lr_g\": 0.00016,\n"));
  EXPECT_LT(json.find("\"batch_size\""), json.find("\"ch_mult\""));
  EXPECT_THAT(json, AllOf(Not(HasSubstr("\"data\"")), Not(HasSubstr("out\"")),
                          Not(HasSubstr("device")), Not(HasSubstr("_every"))));
}

TEST(DescribeFingerprintDifferenceTest, NamesWhatDiffersWithBothValues) {
  const std::string saved = RunFingerprint(Valid());
  EXPECT_EQ(DescribeFingerprintDifference(saved, saved), "");
  TrainerOptions other = Valid();
  other.seed = 1;
  other.model_config.ch_mult = {1, 2};
  EXPECT_EQ(DescribeFingerprintDifference(saved, RunFingerprint(other)),
            "ch_mult was [1,2,2,2] and is [1,2], seed was 1024 and is 1");
}

TEST(DescribeFingerprintDifferenceTest, LayoutOfTheTextDoesNotMatter) {
  EXPECT_EQ(DescribeFingerprintDifference("{\"seed\": 1, \"flip\": true}",
                                          "{\"flip\":true,\"seed\":1}"),
            "");
}

TEST(DescribeFingerprintDifferenceTest, SaysWhatIsOnOneSideOnly) {
  EXPECT_EQ(
      DescribeFingerprintDifference(R"({"seed": 1})", R"({"flip": true})"),
      "flip was not set and is true, seed was 1 and is not set");
}

TEST(DescribeFingerprintDifferenceTest, WhatAnEarlierTrainerHeldFastMayDiffer) {
  EXPECT_EQ(DescribeFingerprintDifference(R"({"seed": 1, "r1_gamma": 0.02})",
                                          R"({"seed": 1})"),
            "");
}

TEST(DescribeFingerprintDifferenceTest, AnOptionOfALaterTrainerHadItsDefault) {
  EXPECT_EQ(DescribeFingerprintDifference(
                R"({"seed": 1})", R"({"seed": 1, "objective": "adversarial"})"),
            "");
  EXPECT_EQ(DescribeFingerprintDifference(
                R"({"seed": 1})", R"({"seed": 1, "objective": "denoising"})"),
            "objective was not set and is \"denoising\"");
}

TEST(DescribeFingerprintDifferenceTest, AHostileOneIsCutShort) {
  EXPECT_EQ(DescribeFingerprintDifference("[1]", "{}"),
            "the saved options are not a JSON object");
  EXPECT_EQ(DescribeFingerprintDifference("{", "{}"),
            "the saved options are not a JSON object");
  std::string many = "{\"a\\n\": \"" + std::string(10000, 'x') + "\"";
  for (int i = 0; i < 100; ++i) many += ", \"b" + std::to_string(i) + "\": 1";
  const std::string text = DescribeFingerprintDifference(many + "}", "{}");
  EXPECT_LT(text.size(), 600u);
  EXPECT_THAT(text, HasSubstr("\"a\\n\" was \"xxx"));
  EXPECT_THAT(text, HasSubstr(", 93 more differ"));
}

}  // namespace
}  // namespace ddgan
