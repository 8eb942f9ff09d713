// Options, report and random weights of `ddgan-evaluate speed`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/model/generator_plan.h"
#include "tests/fakes/tiny_checkpoint.h"
#include "trainer/evaluation/commands/speed_command.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<SpeedOptions> Parse(const std::vector<std::string>& arguments) {
  return ParseSpeed({arguments, Environment()});
}

std::string Error(const std::vector<std::string>& arguments) {
  return std::string(Parse(arguments).status().message());
}

TEST(SpeedOptionsTest, DefaultsAreTheProtocols) {
  const auto options = Parse({"--model=r/m/1"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->batches, ElementsAre(100, 1));
  EXPECT_EQ(options->timing.repeats, 30);
  EXPECT_EQ(options->timing.warm_up, 1);
  EXPECT_EQ(options->timing.timed_evaluations, 0);
  EXPECT_EQ(options->timing.device, "cpu");
}

TEST(SpeedOptionsTest, IsOfAVersionOrOfRandomWeights) {
  EXPECT_TRUE(
      Parse({"--random_weights", "--config=cifar10", "--num_timesteps=1000",
             "--sampler=ddim:50", "--timed_evaluations=3"})
          .ok());
  EXPECT_THAT(Error({}), HasSubstr("give either --model"));
  EXPECT_THAT(Error({"--model=m/1", "--random_weights", "--config=mnist"}),
              HasSubstr("give either --model"));
  EXPECT_THAT(Error({"--random_weights"}), HasSubstr("needs --config"));
  EXPECT_THAT(Error({"--model=m/1", "--config=mnist"}),
              HasSubstr("--config goes only with --random_weights"));
  EXPECT_THAT(Error({"--model=m/1", "--num_timesteps=8"}),
              HasSubstr("--num_timesteps goes only with"));
  EXPECT_THAT(Error({"--model=m/1", "--batches=0"}), HasSubstr("[1, 256]"));
  EXPECT_THAT(Error({"--model=m/1", "--device=tpu"}),
              HasSubstr("must be one of: cpu, cuda"));
}

SpeedReport Report() {
  SpeedReport report;
  report.model = "m/1";
  report.sampler = "ddim:50";
  report.evaluations = report.timed_evaluations = 50;
  report.parameters = 388'419;
  report.device = "cpu";
  report.threads = 2;
  report.times = {{100, 30, 4.0, 0.25}, {1, 30, 0.05, 0.01}};
  return report;
}

TEST(SpeedReportTest, TableSaysWhatWasTimed) {
  const std::string table = SpeedTable(Report());
  EXPECT_THAT(
      table,
      AllOf(HasSubstr("ddim:50, 50 evaluations per image"),
            HasSubstr("cpu, 2 threads"), HasSubstr("388419"),
            HasSubstr("batch of 100           4.0000 s +- 0.2500 (mean of 30), "
                      "25.00 images/s"),
            HasSubstr("20.00 images/s"), Not(HasSubstr("Estimated"))));
  for (const absl::string_view line : absl::StrSplit(table, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(SpeedReportTest, OneEvaluationIsOne) {
  SpeedReport report = Report();
  report.evaluations = report.timed_evaluations = 1;
  EXPECT_THAT(SpeedTable(report), HasSubstr(", 1 evaluation per image\n"));
}

TEST(SpeedReportTest, AnEstimateSaysSo) {
  SpeedReport report = Report();
  report.timed_evaluations = 3;
  EXPECT_THAT(SpeedTable(report),
              HasSubstr("Estimated: 3 of 50 evaluations were timed."));
  const nlohmann::json json = nlohmann::json::parse(SpeedJson(report));
  EXPECT_EQ(json.at("estimated"), true);
  EXPECT_EQ(json.at("timed_evaluations"), 3);
  EXPECT_EQ(json.at("times").at(0).at("seconds"), 4.0);
  EXPECT_EQ(json.at("times").at(1).at("images_per_second"), 20.0);
  EXPECT_EQ(nlohmann::json::parse(SpeedJson(Report())).at("estimated"), false);
}

TEST(RandomWeightsTest, AreAWholeCheckpointOfTheConfiguration) {
  const auto checkpoint = CheckpointOfRandomWeights(TinyCheckpointConfig());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto tensors = ParseSafetensors(checkpoint->weights);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  const auto plan = PlanGenerator(TinyModelConfig()).parameters;
  ASSERT_EQ(tensors->tensors.size(), plan.size());
  for (const ParameterPlan& parameter : plan) {
    const TensorView* const tensor = tensors->Find(parameter.name);
    ASSERT_NE(tensor, nullptr) << parameter.name;
    EXPECT_EQ(tensor->shape, parameter.shape);
    float largest = 0;
    for (size_t i = 0; i < tensor->data.size(); i += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, tensor->data.data() + i, sizeof(float));
      largest = std::max(largest, std::abs(value));
    }
    if (parameter.init.bound > 0) {
      EXPECT_GT(largest, 0);
      EXPECT_LE(largest, static_cast<float>(parameter.init.bound));
    }
  }
  EXPECT_EQ(CheckpointOfRandomWeights(TinyCheckpointConfig())->weights,
            checkpoint->weights);
  CheckpointConfig wrong = TinyCheckpointConfig();
  wrong.model_config.num_channels = 2;
  EXPECT_EQ(CheckpointOfRandomWeights(wrong).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ddgan
