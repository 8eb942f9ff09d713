// Options and report of `ddgan-evaluate quality`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "trainer/evaluation/commands/quality_command.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<QualityOptions> Parse(
    const std::vector<std::string>& arguments) {
  return ParseQuality({arguments, Environment()});
}

std::string Error(const std::vector<std::string>& arguments) {
  return std::string(Parse(arguments).status().message());
}

TEST(QualityOptionsTest, DefaultsAreTheUsualOnes) {
  const auto options = Parse({"--model=r/m/1", "--data=d"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->pictures.model, "r/m/1");
  EXPECT_EQ(options->measure.data, "d");
  EXPECT_EQ(options->metrics.k, 3);
  EXPECT_EQ(options->metrics.splits, 10);
  EXPECT_FALSE(options->metrics.prdc);
  EXPECT_EQ(options->metrics.samples, 0);
  EXPECT_EQ(options->pictures.through, PictureCoding::kPng);
}

TEST(QualityOptionsTest, TakesEveryFlag) {
  const auto options = Parse(
      {"--server=h:1", "--model=m/2", "--data=d", "--dataset=cifar10",
       "--through=jpeg75", "--k=5", "--prdc", "--splits=1", "--samples=10000",
       "--seed=3", "--threads=2", "--features=f.pt", "--features_digest=ab",
       "--cache=c", "--data_samples=500", "--classes=ship,horse",
       "--dataset_limit=900", "--convert=rgb", "--json"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->pictures.server, "h:1");
  EXPECT_EQ(options->pictures.through, PictureCoding::kJpeg75);
  EXPECT_EQ(options->metrics.k, 5);
  EXPECT_TRUE(options->metrics.prdc);
  EXPECT_EQ(options->metrics.splits, 1);
  EXPECT_EQ(options->metrics.samples, 10000);
  EXPECT_EQ(options->measure.features, "f.pt");
  EXPECT_EQ(options->measure.data_samples, 500);
  EXPECT_EQ(options->measure.choice.classes, "ship,horse");
  EXPECT_EQ(options->measure.choice.dataset_limit, 900);
  EXPECT_EQ(options->measure.choice.convert, Conversion::kToRgb);
  EXPECT_TRUE(options->json);
}

TEST(QualityOptionsTest, NamesFlagValueAndRange) {
  EXPECT_THAT(Error({"--model=m/1", "--data=d", "--k=0"}),
              HasSubstr("--k is 0, must be a whole number in [1, 100]"));
  EXPECT_THAT(Error({"--model=m/1", "--data=d", "--samples=1"}),
              HasSubstr("--samples is 1, must be a whole number in [2, "));
  EXPECT_THAT(Error({"--model=m/1", "--data=d", "--through=gif"}),
              HasSubstr("--through is gif, must be one of: png, jpeg75"));
  EXPECT_THAT(Error({"--model=m/1"}), HasSubstr("--data is required"));
  EXPECT_THAT(Error({"--data=d"}), HasSubstr("--model is required"));
}

TEST(QualityOptionsTest, HelpIsInNarrowLines) {
  const auto options = Parse({"--help"});
  ASSERT_TRUE(options.ok()) << options.status();
  for (const char* flag : {"--model", "--images", "--server", "--through",
                           "--prdc", "--features", "--cache"}) {
    EXPECT_THAT(options->text, HasSubstr(flag));
  }
  for (const absl::string_view line : absl::StrSplit(options->text, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(QualityOptionsTest, SamplesAreTheProtocolsOrWhatThereIs) {
  EXPECT_EQ(DefaultSamples(int64_t{1} << 32, 60'000), 50'000);
  EXPECT_EQ(DefaultSamples(int64_t{1} << 32, 10'000), 10'000);
  EXPECT_EQ(DefaultSamples(700, 10'000), 700);
}

QualityReport ReportOfAModel() {
  QualityReport report;
  report.version = MeasuredVersion{
      {"digits", 42, std::string(64, 'a')}, "ddim:5", 5, "mnist"};
  report.through = PictureCoding::kJpeg75;
  report.seed = 7;
  report.samples = 10'000;
  report.dataset = "mnist";
  report.data_samples = 60'000;
  report.features = "digits";
  report.features_digest = std::string(64, 'f');
  report.feature_count = 64;
  report.fd_name = "FD-digits";
  report.k = 3;
  report.fd = 12.34567;
  report.kid = {
      .mean = 0.0123, .stddev = 0.001, .subsets = 100, .subset = 1000};
  report.inception = InceptionScore{.mean = 8.5, .stddev = 0.2, .splits = 10};
  report.neighbours = {
      .precision = 0.71, .recall = 0.52, .density = 1.01, .coverage = 0.83};
  return report;
}

TEST(QualityReportTest, TableSaysWhatEachFigureIsOf) {
  const std::string table = QualityTable(ReportOfAModel());
  EXPECT_THAT(
      table,
      AllOf(HasSubstr("digits version 42"),
            HasSubstr("ddim:5, 5 evaluations per picture"),
            HasSubstr("10000, seed 7, through jpeg75"),
            HasSubstr("60000 of mnist"), HasSubstr(std::string(64, 'f')),
            HasSubstr("FD-digits              12.3457"),
            HasSubstr("0.012300 +- 0.001000 (100 subsets of 1000)"),
            HasSubstr("8.5000 +- 0.2000 (10 splits, classes of digits)")));
  EXPECT_THAT(table, AllOf(HasSubstr("precision              0.7100 (k 3, <=)"),
                           HasSubstr("coverage               0.8300 (k 3, <)"),
                           Not(HasSubstr("constant"))));
  for (const absl::string_view line : absl::StrSplit(table, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(QualityReportTest, StrictBallsAndConstantModelsAreSaid) {
  QualityReport report = ReportOfAModel();
  report.strict = true;
  report.constant = true;
  EXPECT_THAT(QualityTable(report),
              AllOf(HasSubstr("precision              0.7100 (k 3, <)"),
                    HasSubstr("the model is constant.")));
}

TEST(QualityReportTest, JsonHasEveryFigureInOneLine) {
  const std::string line = QualityJson(ReportOfAModel());
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const nlohmann::json json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("evaluation"), "quality");
  EXPECT_EQ(json.at("model"), "digits");
  EXPECT_EQ(json.at("version"), 42);
  EXPECT_EQ(json.at("sampler"), "ddim:5");
  EXPECT_EQ(json.at("evaluations"), 5);
  EXPECT_EQ(json.at("through"), "jpeg75");
  EXPECT_EQ(json.at("samples"), 10'000);
  EXPECT_EQ(json.at("data_samples"), 60'000);
  EXPECT_EQ(json.at("fd_name"), "FD-digits");
  EXPECT_EQ(json.at("fd"), 12.34567);
  EXPECT_TRUE(json.at("kid_all").is_null());
  EXPECT_EQ(json.at("is"), 8.5);
  EXPECT_EQ(json.at("recall"), 0.52);
  EXPECT_EQ(json.at("strict"), false);
}

TEST(QualityReportTest, SaysWhichPicturesOfTheSetItIsAgainst) {
  QualityReport report = ReportOfAModel();
  EXPECT_THAT(QualityTable(report), Not(HasSubstr("namely")));
  report.data_choice = "classes horse,ship";
  EXPECT_THAT(QualityTable(report),
              HasSubstr("60000 of mnist\n  namely               classes "
                        "horse,ship\n"));
  EXPECT_EQ(nlohmann::json::parse(QualityJson(report)).at("data_choice"),
            "classes horse,ship");
}

TEST(QualityReportTest, SomebodyElsesPicturesHaveNoVersion) {
  QualityReport report = ReportOfAModel();
  report.version.reset();
  report.inception.reset();
  report.pictures = "a/folder\xff";  // No UTF-8.
  EXPECT_THAT(QualityTable(report), HasSubstr("pictures               a/fold"));
  const nlohmann::json json = nlohmann::json::parse(QualityJson(report));
  EXPECT_TRUE(json.at("model").is_null());
  EXPECT_TRUE(json.at("is").is_null());
}

}  // namespace
}  // namespace ddgan
