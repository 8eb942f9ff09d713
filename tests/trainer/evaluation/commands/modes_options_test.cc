// Options of `ddgan-evaluate modes`.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "trainer/evaluation/commands/modes_command.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<ModesOptions> Parse(const std::vector<std::string>& arguments) {
  return ParseModes({arguments, Environment()});
}

// With what is required, so that only `argument` can be wrong.
std::string Error(const std::string& argument) {
  const auto options =
      Parse({"mnist", "--model=m/1", "--data=d", "--classifier=c", argument});
  EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument)
      << argument;
  return std::string(options.status().message());
}

TEST(ModesOptionsTest, SamplesFollowTheLiteratureOfEachProblem) {
  auto options = Parse(
      {"stacked_mnist", "--model=r/m/1", "--data", "d", "--classifier=c"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, ModesKind::kStackedMnist);
  EXPECT_EQ(options->pictures.model, "r/m/1");
  EXPECT_EQ(options->data, "d");
  EXPECT_EQ(options->classifier, "c");
  EXPECT_EQ(options->samples, 26000);
  EXPECT_EQ(options->pictures.seed, 0u);
  EXPECT_EQ(options->threads, 0);
  EXPECT_FALSE(options->json);
  EXPECT_FALSE(options->real);
  options = Parse({"--real", "mnist", "--data=d", "--classifier=c"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, ModesKind::kMnist);
  EXPECT_TRUE(options->real);
  EXPECT_EQ(options->samples, 10000);
}

TEST(ModesOptionsTest, GaussiansNeedNoData) {
  auto options = Parse({"25_gaussians", "--model=r/m/1"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->kind, ModesKind::kGaussians);
  EXPECT_EQ(options->samples, 2500);
  EXPECT_TRUE(Parse({"25_gaussians", "--real"}).ok());
  options = Parse({"25_gaussians", "--real", "--data=d"});
  EXPECT_THAT(std::string(options.status().message()),
              HasSubstr("--data and --classifier do not go with 25_gaussians"));
  options = Parse({"25_gaussians", "--server=h:1", "--model=m"});
  EXPECT_THAT(std::string(options.status().message()),
              HasSubstr("no server makes points"));
}

TEST(ModesOptionsTest, TakesFlagsInAnyOrderAndTheLastOfTwo) {
  const auto options =
      Parse({"--json", "--samples=5", "--seed", "18446744073709551615",
             "--samples=6", "--threads=2", "mnist", "--model=m/1", "--data=d",
             "--classifier=c", "--json=false"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->samples, 6);
  EXPECT_EQ(options->pictures.seed, UINT64_MAX);
  EXPECT_EQ(options->threads, 2);
  EXPECT_FALSE(options->json);
}

TEST(ModesOptionsTest, NamesFlagValueAndRange) {
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

TEST(ModesOptionsTest, SaysWhatIsUnknownOrMissing) {
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
              HasSubstr("must be mnist, stacked_mnist or 25_gaussians"));
  EXPECT_THAT(
      message({"cifar10", "--real", "--data=d", "--classifier=c"}),
      HasSubstr("is 'cifar10', must be mnist, stacked_mnist or 25_gaussians"));
  EXPECT_THAT(message({"mnist", "--data=d", "--classifier=c"}),
              HasSubstr("--model is required"));
  EXPECT_THAT(message({"mnist", "--real", "--classifier=c"}),
              HasSubstr("--data is required"));
  EXPECT_THAT(message({"mnist", "--server=h:1", "--data=d"}),
              HasSubstr("--model is required"));
  EXPECT_THAT(message({"mnist", "--real", "--server=h:1", "--data=d"}),
              HasSubstr("--real and --server='h:1' exclude each other"));
  EXPECT_THAT(message({"mnist", "--real", "--model=m/1", "--data=d"}),
              HasSubstr("--real and --model='m/1' exclude each other"));
  EXPECT_THAT(message({"mnist", "--real", "--sampler=pc", "--data=d"}),
              HasSubstr("--sampler does not go with --real"));
}

TEST(ModesOptionsTest, HelpNeedsNothingElse) {
  const auto options = Parse({"--help"});
  ASSERT_TRUE(options.ok()) << options.status();
  for (const char* flag : {"--model", "--real", "--data", "--classifier",
                           "--samples", "--seed", "--threads", "--json"}) {
    EXPECT_THAT(options->text, HasSubstr(flag));
  }
  for (const absl::string_view line : absl::StrSplit(options->text, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

}  // namespace
}  // namespace ddgan
