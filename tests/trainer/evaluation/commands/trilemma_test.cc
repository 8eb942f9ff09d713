// Options and report of `ddgan-evaluate trilemma`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "trainer/evaluation/commands/trilemma_command.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ModelAndSamplerTest, TheFirstColonAfterTheLastSlashPartsThem) {
  const auto expect = [](const std::string& text, const std::string& model,
                         const std::string& sampler) {
    const ModelAndSampler parsed = ParseModelAndSampler(text);
    EXPECT_EQ(parsed.model, model) << text;
    EXPECT_EQ(parsed.sampler, sampler) << text;
  };
  expect("root/m/12", "root/m/12", "");
  expect("root/m/12:pc", "root/m/12", "pc");
  expect("root/m/12:ddim:50", "root/m/12", "ddim:50");
  expect("C:/odd:root/m/12:ddim:50", "C:/odd:root/m/12", "ddim:50");
  expect("12:pc", "12", "pc");
}

absl::StatusOr<TrilemmaOptions> Parse(
    const std::vector<std::string>& arguments) {
  return ParseTrilemma({arguments, Environment()});
}

TEST(TrilemmaOptionsTest, TakesModelsAndTheFlagsOfAllOfThem) {
  const auto options =
      Parse({"r/a/1", "r/b/2:ddim:50", "--data=d", "--samples=10000",
             "--repeats=3", "--timed_evaluations=5", "--k=5", "--json"});
  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_EQ(options->models.size(), 2u);
  EXPECT_EQ(options->models[1].sampler, "ddim:50");
  EXPECT_EQ(options->metrics.samples, 10000);
  EXPECT_EQ(options->timing.repeats, 3);
  EXPECT_EQ(options->timing.timed_evaluations, 5);
  EXPECT_EQ(Parse({"r/a/1", "--data=d"})->timing.repeats, 5);
}

TEST(TrilemmaOptionsTest, WantsModelsAndData) {
  EXPECT_THAT(std::string(Parse({"--data=d"}).status().message()),
              HasSubstr("which models?"));
  EXPECT_THAT(std::string(Parse({"r/a/1"}).status().message()),
              HasSubstr("--data is required"));
  const auto help = Parse({"--help"});
  for (const absl::string_view line : absl::StrSplit(help->text, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TrilemmaReport Report() {
  TrilemmaRow row;
  row.name = "ddgan/4000";
  row.digest = std::string(64, 'a');
  row.quality.samples = 10'000;
  row.quality.dataset = "mnist";
  row.quality.data_samples = 60'000;
  row.quality.features = "digits";
  row.quality.features_digest = std::string(64, 'f');
  row.quality.fd_name = "FD-digits";
  row.quality.k = 3;
  row.quality.fd = 12.5;
  row.quality.neighbours = {
      .precision = 0.7, .recall = 0.5, .density = 0.9, .coverage = 0.8};
  row.quality.inception = {.mean = 3.5, .stddev = 0.1, .splits = 10};
  row.speed.sampler = "ancestral";
  row.speed.evaluations = row.speed.timed_evaluations = 4;
  row.speed.device = "cpu";
  row.speed.threads = 2;
  row.speed.times = {{100, 5, 4.25, 0.5}};
  row.kl = 0.0834;
  row.modes_covered = 10;
  TrilemmaRow many = row;
  many.name = "ddpm/4000";
  many.speed.evaluations = 1000;
  many.speed.timed_evaluations = 5;
  many.kl.reset();
  many.modes_covered.reset();
  return {{row, many}};
}

TEST(TrilemmaReportTest, TableHasALineForEachModel) {
  const std::string table = TrilemmaTable(Report());
  EXPECT_THAT(
      table, AllOf(HasSubstr("10000 pictures of seed 0 through png against "
                             "60000 of mnist; digits, k 3 (<=)"),
                   HasSubstr("FD is FD-digits"), HasSubstr("ddgan/4000"),
                   HasSubstr("0.0834"), HasSubstr(" 4.25 "), HasSubstr("~4.25"),
                   HasSubstr("were timed")));
  for (const absl::string_view line : absl::StrSplit(table, '\n')) {
    EXPECT_LE(line.size(), 120u) << line;
  }
  TrilemmaReport whole = Report();
  whole.rows.front().quality.data_choice = "classes 7";
  EXPECT_THAT(TrilemmaTable(whole), HasSubstr("\nmnist: classes 7\n"));
  whole.rows.pop_back();
  EXPECT_THAT(TrilemmaTable(whole), Not(HasSubstr("~")));
}

TEST(TrilemmaReportTest, JsonIsWhatTheFigureIsDrawnFrom) {
  const nlohmann::json json = nlohmann::json::parse(TrilemmaJson(Report()));
  EXPECT_EQ(json.at("evaluation"), "trilemma");
  EXPECT_EQ(json.at("fd_name"), "FD-digits");
  EXPECT_EQ(json.at("samples"), 10'000);
  EXPECT_EQ(json.at("data_choice"), "");
  ASSERT_EQ(json.at("rows").size(), 2u);
  const nlohmann::json& row = json.at("rows").at(0);
  EXPECT_EQ(row.at("name"), "ddgan/4000");
  EXPECT_EQ(row.at("sampler"), "ancestral");
  EXPECT_EQ(row.at("evaluations"), 4);
  EXPECT_EQ(row.at("seconds_per_100_images"), 4.25);
  EXPECT_EQ(row.at("timing_estimated"), false);
  EXPECT_EQ(row.at("fd"), 12.5);
  EXPECT_EQ(row.at("precision"), 0.7);
  EXPECT_EQ(row.at("recall"), 0.5);
  EXPECT_EQ(row.at("is"), 3.5);
  EXPECT_EQ(row.at("is_splits"), 10);
  EXPECT_EQ(row.at("density"), 0.9);
  EXPECT_EQ(row.at("coverage"), 0.8);
  EXPECT_EQ(row.at("kl"), 0.0834);
  EXPECT_EQ(row.at("samples"), 10'000);
  EXPECT_EQ(json.at("rows").at(1).at("timing_estimated"), true);
  EXPECT_TRUE(json.at("rows").at(1).at("kl").is_null());
}

}  // namespace
}  // namespace ddgan
