#include "trainer/evaluation/evaluation_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<EvaluationOptions> Parse(
    const std::vector<std::string>& arguments) {
  return ParseEvaluationOptions(arguments, Environment());
}

// With what is required, so that only `argument` can be wrong.
std::string Error(const std::string& argument) {
  const auto options =
      Parse({"mnist", "--model=m/1", "--data=d", "--classifier=c", argument});
  EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument)
      << argument;
  return std::string(options.status().message());
}

TEST(EvaluationOptionsTest, SamplesFollowTheLiteratureOfEachProblem) {
  auto options = Parse(
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
  options = Parse({"--real", "mnist", "--data=d", "--classifier=c"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, EvaluationKind::kMnist);
  EXPECT_TRUE(options->real);
  EXPECT_EQ(options->samples, 10000);
}

TEST(EvaluationOptionsTest, TakesFlagsInAnyOrderAndTheLastOfTwo) {
  const auto options =
      Parse({"--json", "--samples=5", "--seed", "18446744073709551615",
             "--samples=6", "--threads=2", "mnist", "--model=m/1", "--data=d",
             "--classifier=c", "--json=false"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->samples, 6);
  EXPECT_EQ(options->seed, UINT64_MAX);
  EXPECT_EQ(options->threads, 2);
  EXPECT_FALSE(options->json);
}

TEST(EvaluationOptionsTest, NamesFlagValueAndRange) {
  for (const char* value : {"0", "1000001", "many"}) {
    EXPECT_EQ(Error(std::string("--samples=") + value),
              std::string("--samples is ") + value +
                  ", must be a whole number in [1, 1000000] (from the command "
                  "line)");
  }
  EXPECT_THAT(Error("--seed=-1"),
              StartsWith("--seed is -1, must be a whole number in [0, "
                         "18446744073709551615]"));
  EXPECT_THAT(
      Error("--threads=257"),
      StartsWith("--threads is 257, must be a whole number in [0, 256]"));
  EXPECT_THAT(Error("--json=maybe"),
              StartsWith("--json is maybe, must be one of: true, false"));
  EXPECT_THAT(Error("--data="),
              StartsWith("--data is \"\", must not be empty"));
}

TEST(EvaluationOptionsTest, SaysWhatIsUnknownOrMissing) {
  EXPECT_EQ(Error("--sampels=1"),
            "unknown flag --sampels; did you mean --samples?");
  EXPECT_EQ(Error("--seed"), "--seed needs a value, as --seed=N");
  EXPECT_THAT(Error("stacked_mnist"),
              HasSubstr("unexpected argument 'stacked_mnist'"));
  EXPECT_THAT(Error("--real"), HasSubstr("exclude each other"));
  const auto message = [](const std::vector<std::string>& arguments) {
    return std::string(Parse(arguments).status().message());
  };
  EXPECT_THAT(message({"--real", "--data=d", "--classifier=c"}),
              HasSubstr("must be mnist or stacked_mnist"));
  EXPECT_THAT(message({"cifar10", "--real", "--data=d", "--classifier=c"}),
              HasSubstr("is 'cifar10', must be mnist or stacked_mnist"));
  EXPECT_THAT(message({"mnist", "--data=d", "--classifier=c"}),
              HasSubstr("--model is required"));
  EXPECT_THAT(message({"mnist", "--real", "--classifier=c"}),
              HasSubstr("--data is required"));
  EXPECT_THAT(message({"mnist", "--real", "--data=d"}),
              HasSubstr("--classifier is required"));
}

TEST(EvaluationOptionsTest, HelpNeedsNothingElse) {
  const auto options = Parse({"--help"});
  ASSERT_TRUE(options.ok()) << options.status();
  for (const char* flag : {"--model", "--real", "--data", "--classifier",
                           "--samples", "--seed", "--threads", "--json"}) {
    EXPECT_THAT(options->text, HasSubstr(flag));
  }
  for (const absl::string_view line : absl::StrSplit(options->text, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
  EXPECT_THAT(Parse({"--version"})->text, StartsWith("ddgan-evaluate "));
}

}  // namespace
}  // namespace ddgan
