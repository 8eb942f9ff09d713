#include "trainer/evaluation/evaluation_report.h"

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

EvaluationReport ReportOfAModel() {
  EvaluationReport report;
  report.kind = EvaluationKind::kStackedMnist;
  report.model = EvaluatedModel{{"stacked", 42, std::string(64, 'a')}, 61.25};
  report.seed = 7;
  report.classifier_accuracy = 0.9924;
  report.digits.coverage = {.samples = 26000,
                            .modes = 1000,
                            .modes_covered = 998,
                            .kl = 0.07126,
                            .kl_floor = 0.01921};
  report.digits.digit_share.fill(0.1);
  report.digits.mean_confidence = 0.987;
  report.digits.share_below_50 = 0.0025;
  report.digits.share_above_90 = 0.95;
  return report;
}

TEST(EvaluationReportTest, TableSaysItAllInNarrowLines) {
  const std::string table = EvaluationTable(ReportOfAModel());
  EXPECT_THAT(table,
              AllOf(HasSubstr("stacked version 42"), HasSubstr("26000, seed 7"),
                    HasSubstr("998 of 1000"), HasSubstr("0.0713 nats"),
                    HasSubstr("0.0192 nats on average"), HasSubstr("0.9870"),
                    HasSubstr("0.25 %"), HasSubstr("95.00 %"),
                    HasSubstr("61.2 images/s"), HasSubstr("99.24 %")));
  EXPECT_THAT(table, Not(HasSubstr("Do not trust")));
  for (const absl::string_view line : absl::StrSplit(table, '\n'))
    EXPECT_LE(line.size(), 80u) << line;
}

TEST(EvaluationReportTest, APoorClassifierIsNotTrusted) {
  EvaluationReport report = ReportOfAModel();
  report.classifier_accuracy = 0.9849;
  EXPECT_THAT(EvaluationTable(report),
              HasSubstr("Do not trust these figures: the classifier should get "
                        "98.5 % right."));
  EXPECT_FALSE(
      nlohmann::json::parse(EvaluationJson(report)).at("classifier_trusted"));
  report.classifier_accuracy = kTrustedAccuracy;
  EXPECT_TRUE(
      nlohmann::json::parse(EvaluationJson(report)).at("classifier_trusted"));
}

TEST(EvaluationReportTest, JsonHasEveryFigureInOneLine) {
  const std::string line = EvaluationJson(ReportOfAModel());
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const nlohmann::json json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("evaluation"), "stacked_mnist");
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

TEST(EvaluationReportTest, RealPicturesHaveNoModelAndNoRate) {
  EvaluationReport report = ReportOfAModel();
  report.model.reset();
  EXPECT_THAT(EvaluationTable(report),
              AllOf(HasSubstr("real ones of stacked_mnist"),
                    Not(HasSubstr("images/s"))));
  const nlohmann::json json = nlohmann::json::parse(EvaluationJson(report));
  EXPECT_EQ(json.at("pictures"), "real");
  EXPECT_FALSE(json.contains("model"));
  EXPECT_FALSE(json.contains("images_per_second"));
}

}  // namespace
}  // namespace ddgan
