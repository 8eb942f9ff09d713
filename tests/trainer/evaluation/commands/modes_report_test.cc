#include "trainer/evaluation/commands/modes_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ModesReport ReportOfAModel(double accuracy = 0.9924) {
  DigitModes found;
  found.classifier_accuracy = accuracy;
  found.digits.coverage = {.samples = 26000,
                           .modes = 1000,
                           .modes_covered = 998,
                           .kl = 0.07126,
                           .kl_floor = 0.01921};
  found.digits.digit_share.fill(0.1);
  found.digits.mean_confidence = 0.987;
  found.digits.share_below_50 = 0.0025;
  found.digits.share_above_90 = 0.95;
  ModesReport report;
  report.kind = ModesKind::kStackedMnist;
  report.model =
      EvaluatedModel{{"stacked", 42, std::string(64, 'a')}, "pc", 7, 61.25};
  report.seed = 7;
  report.found = found;
  return report;
}

TEST(ModesReportTest, TableSaysItAllInNarrowLines) {
  const std::string table = ModesTable(ReportOfAModel());
  EXPECT_THAT(
      table,
      AllOf(HasSubstr("stacked version 42"), HasSubstr("pc, 7 evaluations"),
            HasSubstr("26000, seed 7"), HasSubstr("998 of 1000"),
            HasSubstr("0.0713 nats"), HasSubstr("0.0192 nats on average"),
            HasSubstr("0.9870"), HasSubstr("0.25 %"), HasSubstr("95.00 %"),
            HasSubstr("61.2 images/s"), HasSubstr("99.24 %")));
  EXPECT_THAT(table, Not(HasSubstr("Do not trust")));
  for (const absl::string_view line : absl::StrSplit(table, '\n'))
    EXPECT_LE(line.size(), 80u) << line;
}

TEST(ModesReportTest, APoorClassifierIsNotTrusted) {
  ModesReport report = ReportOfAModel(0.9849);
  EXPECT_THAT(ModesTable(report),
              HasSubstr("Do not trust these figures: the classifier should get "
                        "98.5 % right."));
  EXPECT_FALSE(
      nlohmann::json::parse(ModesJson(report)).at("classifier_trusted"));
  report = ReportOfAModel(kTrustedAccuracy);
  EXPECT_TRUE(
      nlohmann::json::parse(ModesJson(report)).at("classifier_trusted"));
}

TEST(ModesReportTest, JsonHasEveryFigureInOneLine) {
  const std::string line = ModesJson(ReportOfAModel());
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const nlohmann::json json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("evaluation"), "modes");
  EXPECT_EQ(json.at("problem"), "stacked_mnist");
  EXPECT_EQ(json.at("sampler"), "pc");
  EXPECT_EQ(json.at("evaluations"), 7);
  EXPECT_EQ(json.at("pictures"), "model");
  EXPECT_EQ(json.at("model"), "stacked");
  EXPECT_EQ(json.at("version"), 42);
  EXPECT_EQ(json.at("digest"), std::string(64, 'a'));
  EXPECT_EQ(json.at("images_per_second"), 61.25);
  EXPECT_EQ(json.at("seed"), 7);
  EXPECT_EQ(json.at("samples"), 26000);
  EXPECT_EQ(json.at("modes"), 1000);
  EXPECT_EQ(json.at("modes_covered"), 998);
  EXPECT_EQ(json.at("kl"), 0.07126);
  EXPECT_EQ(json.at("kl_floor"), 0.01921);
  EXPECT_EQ(json.at("mean_confidence"), 0.987);
  EXPECT_EQ(json.at("share_below_50"), 0.0025);
  EXPECT_EQ(json.at("share_above_90"), 0.95);
  EXPECT_EQ(json.at("digit_share").size(), 10u);
  EXPECT_EQ(json.at("classifier_accuracy"), 0.9924);
}

TEST(ModesReportTest, RealPicturesHaveNoModelAndNoRate) {
  ModesReport report = ReportOfAModel();
  report.model.reset();
  EXPECT_THAT(ModesTable(report), AllOf(HasSubstr("real ones of stacked_mnist"),
                                        Not(HasSubstr("images/s"))));
  const nlohmann::json json = nlohmann::json::parse(ModesJson(report));
  EXPECT_EQ(json.at("pictures"), "real");
  EXPECT_FALSE(json.contains("model"));
  EXPECT_FALSE(json.contains("images_per_second"));
}

ModesReport ReportOfGaussians() {
  GaussianCoverage found;
  found.points = 2500;
  found.modes_covered = 24;
  found.high_quality_share = 0.9;
  found.kl = 0.25;
  ModesReport report;
  report.kind = ModesKind::kGaussians;
  report.found = found;
  return report;
}

TEST(ModesReportTest, GaussiansHaveNoClassifier) {
  const std::string table = ModesTable(ReportOfGaussians());
  EXPECT_THAT(table, AllOf(HasSubstr("real ones of 25_gaussians"),
                           HasSubstr("2500, seed 0"), HasSubstr("24 of 25"),
                           HasSubstr("0.2500 nats"),
                           HasSubstr("0.0053 nats on average"),
                           HasSubstr("within 3 deviations    90.00 %"),
                           Not(HasSubstr("classifier"))));
  const nlohmann::json json =
      nlohmann::json::parse(ModesJson(ReportOfGaussians()));
  EXPECT_EQ(json.at("problem"), "25_gaussians");
  EXPECT_EQ(json.at("modes"), 25);
  EXPECT_EQ(json.at("kl"), 0.25);
  EXPECT_DOUBLE_EQ(json.at("kl_floor"), UniformKl(2250, 25));
  EXPECT_EQ(json.at("high_quality_share"), 0.9);
  EXPECT_FALSE(json.contains("classifier_accuracy"));
}

TEST(ModesReportTest, PointsThatAreNowhereHaveNoDivergence) {
  ModesReport report = ReportOfGaussians();
  std::get<GaussianCoverage>(report.found).kl.reset();
  EXPECT_THAT(ModesTable(report), HasSubstr("no point is near a mode"));
  EXPECT_THAT(ModesTable(report), Not(HasSubstr("on average")));
  const nlohmann::json json = nlohmann::json::parse(ModesJson(report));
  EXPECT_TRUE(json.at("kl").is_null());
  EXPECT_TRUE(json.at("kl_floor").is_null());
}

}  // namespace
}  // namespace ddgan
