#include "trainer/evaluation/evaluation_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ddgan {
namespace {

using ::testing::HasSubstr;

// With what is required, so that only `argument` can be wrong.
std::string Error(const std::string& argument) {
  const auto options = ParseEvaluationOptions(
      {"mnist", "--model=m/1", "--data=d", "--classifier=c", argument});
  EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument)
      << argument;
  return std::string(options.status().message());
}

TEST(EvaluationOptionsTest, SamplesFollowTheLiteratureOfEachProblem) {
  auto options = ParseEvaluationOptions(
      {"stacked_mnist", "--model=r/m/1", "--data", "d", "--classifier=c"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, EvaluationKind::kStackedMnist);
  EXPECT_EQ(options->model, "r/m/1");
  EXPECT_EQ(options->data, "d");
  EXPECT_EQ(options->classifier, "c");
  EXPECT_EQ(options->samples, 26000);
  EXPECT_EQ(options->seed, 0u);
  EXPECT_EQ(options->threads, 0);
  EXPECT_FALSE(options->json);
  EXPECT_FALSE(options->real);
  options =
      ParseEvaluationOptions({"--real", "mnist", "--data=d", "--classifier=c"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, EvaluationKind::kMnist);
  EXPECT_TRUE(options->real);
  EXPECT_EQ(options->samples, 10000);
}

TEST(EvaluationOptionsTest, TakesFlagsInAnyOrderAndTheLastOfTwo) {
  const auto options = ParseEvaluationOptions(
      {"--json", "--samples=5", "--seed", "18446744073709551615", "--samples=6",
       "--threads=2", "mnist", "--model=m/1", "--data=d", "--classifier=c",
       "--json=false"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->samples, 6);
  EXPECT_EQ(options->seed, UINT64_MAX);
  EXPECT_EQ(options->threads, 2);
  EXPECT_FALSE(options->json);
}

TEST(EvaluationOptionsTest, NamesFlagValueAndRange) {
  EXPECT_EQ(Error("--samples=0"), "--samples is '0', must be in [1, 1000000]");
  EXPECT_EQ(Error("--samples=1000001"),
            "--samples is '1000001', must be in [1, 1000000]");
  EXPECT_EQ(Error("--samples=many"),
            "--samples is 'many', must be in [1, 1000000]");
  EXPECT_EQ(Error("--seed=-1"),
            "--seed is '-1', must be in [0, 18446744073709551615]");
  EXPECT_EQ(Error("--threads=257"), "--threads is '257', must be in [0, 256]");
  EXPECT_EQ(Error("--json=maybe"), "--json is 'maybe', must be true or false");
  EXPECT_EQ(Error("--data="), "--data is '', must be a path");
}

TEST(EvaluationOptionsTest, SaysWhatIsUnknownOrMissing) {
  EXPECT_EQ(Error("--sampels=1"), "unknown flag --sampels: --help lists them");
  EXPECT_EQ(Error("--seed"), "--seed needs a value, as --seed=...");
  EXPECT_THAT(Error("stacked_mnist"),
              HasSubstr("unexpected argument 'stacked_mnist'"));
  EXPECT_THAT(Error("--real"), HasSubstr("exclude each other"));
  const auto message = [](const std::vector<std::string>& arguments) {
    return std::string(ParseEvaluationOptions(arguments).status().message());
  };
  EXPECT_THAT(message({}), HasSubstr("must be mnist or stacked_mnist"));
  EXPECT_THAT(message({"cifar10"}),
              HasSubstr("is 'cifar10', must be mnist or stacked_mnist"));
  EXPECT_THAT(message({"mnist", "--data=d", "--classifier=c"}),
              HasSubstr("--model is missing"));
  EXPECT_THAT(message({"mnist", "--real", "--classifier=c"}),
              HasSubstr("--data is missing"));
  EXPECT_THAT(message({"mnist", "--real", "--data=d"}),
              HasSubstr("--classifier is missing"));
}

TEST(EvaluationOptionsTest, HelpNeedsNothingElse) {
  const auto options = ParseEvaluationOptions({"--help"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->help);
  for (const char* flag : {"--model", "--real", "--data", "--classifier",
                           "--samples", "--seed", "--threads", "--json"}) {
    EXPECT_THAT(EvaluationHelp(), HasSubstr(flag));
  }
}

}  // namespace
}  // namespace ddgan
