// Options and report of `ddgan-evaluate nearest`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "trainer/evaluation/commands/nearest_command.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

absl::StatusOr<NearestOptions> Parse(
    const std::vector<std::string>& arguments) {
  return ParseNearest({arguments, Environment()});
}

TEST(NearestOptionsTest, WantsAFolderForTheGrid) {
  const auto options = Parse({"--model=r/m/1", "--data=d", "--out=o"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->samples, 0);
  EXPECT_EQ(options->shown, 10);
  EXPECT_THAT(
      std::string(Parse({"--model=r/m/1", "--data=d"}).status().message()),
      HasSubstr("--out is required"));
  const auto help = Parse({"--help"});
  for (const absl::string_view line : absl::StrSplit(help->text, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(DistanceSummaryTest, TellsTheLowestOnePercentAndTheMedian) {
  std::vector<double> distances;
  for (int i = 200; i > 0; --i) distances.push_back(i);
  const DistanceSummary summary = Summarise(distances);
  EXPECT_EQ(summary.pictures, 200);
  EXPECT_EQ(summary.lowest, 1);
  EXPECT_EQ(summary.percent_1, 3);
  EXPECT_EQ(summary.median, 101);
  EXPECT_EQ(Summarise({5}).median, 5);
}

TEST(CompareDistancesTest, CountsWhatIsNearerThanMostOfTheTestPictures) {
  EXPECT_EQ(CompareDistances({0, 1, 2, 3}, {2, 2, 2}).suspicious_share, 0.5);
  EXPECT_EQ(CompareDistances({1}, {}).suspicious_share, std::nullopt);
  // Nothing is nearer than test pictures that are among the real ones.
  const SpaceReport copies = CompareDistances({0, 0}, {0, 5, 5});
  EXPECT_EQ(copies.suspicious_share, std::nullopt);
  EXPECT_EQ(copies.test->percent_1, 0);
}

NearestReport Report(double share) {
  NearestReport report;
  report.version =
      MeasuredVersion{{"digits", 42, std::string(64, 'a')}, "ancestral", 4, ""};
  report.dataset = "mnist";
  report.data_samples = 60'000;
  report.features = "digits";
  report.features_digest = std::string(64, 'f');
  report.in_features.measured = {1000, 0.5, 1, 2};
  report.in_features.test = DistanceSummary{1000, 0.4, 0.9, 1.9};
  report.in_features.suspicious_share = share;
  report.in_pixels = report.in_features;
  report.out = "folder";
  return report;
}

TEST(NearestReportTest, SaysWhetherTheModelCopies) {
  EXPECT_THAT(NearestTable(Report(0.012)),
              AllOf(HasSubstr("digits version 42"),
                    HasSubstr("1.2 % by features and 1.2 % by pixels"),
                    HasSubstr("the model does not copy."),
                    HasSubstr("folder/nearest.png")));
  EXPECT_THAT(NearestTable(Report(0.5)), HasSubstr("the model copies."));
  // Blurred pictures are near to everything in pixels alone.
  NearestReport blurred = Report(0.012);
  blurred.in_pixels.suspicious_share = 0.5;
  EXPECT_EQ(Copies(blurred), false);
  for (const absl::string_view line :
       absl::StrSplit(NearestTable(Report(0.5)), '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(NearestReportTest, WithoutTestPicturesItDoesNotSay) {
  NearestReport report = Report(0);
  for (SpaceReport* space : {&report.in_features, &report.in_pixels}) {
    space->test.reset();
    space->suspicious_share.reset();
  }
  EXPECT_THAT(NearestTable(report), HasSubstr("Without --test_data"));
  const nlohmann::json json = nlohmann::json::parse(NearestJson(report));
  EXPECT_TRUE(json.at("copies").is_null());
  EXPECT_TRUE(json.at("in_pixels").at("test").is_null());
}

TEST(NearestReportTest, TestPicturesAmongTheRealOnesDoNotSay) {
  NearestReport report = Report(0);
  report.in_features.suspicious_share.reset();
  EXPECT_THAT(NearestTable(report),
              HasSubstr("1 % of the test pictures are among the real ones"));
}

TEST(NearestReportTest, JsonHasTheDistances) {
  const nlohmann::json json = nlohmann::json::parse(NearestJson(Report(0.25)));
  EXPECT_EQ(json.at("evaluation"), "nearest");
  EXPECT_EQ(json.at("copies"), true);
  EXPECT_EQ(json.at("data_choice"), "");
  EXPECT_EQ(json.at("in_features").at("measured").at("median"), 2);
  EXPECT_EQ(json.at("in_pixels").at("test").at("percent_1"), 0.9);
  EXPECT_EQ(json.at("in_pixels").at("suspicious_share"), 0.25);
}

}  // namespace
}  // namespace ddgan
