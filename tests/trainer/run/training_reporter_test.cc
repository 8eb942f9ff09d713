#include "trainer/run/training_reporter.h"

#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class TrainingReporterTest : public ::testing::Test {
 protected:
  TrainingReporterTest() {
    EXPECT_TRUE(reporter_.OpenLog(log_path_, 0).ok());
    reporter_.Begin(clock_.Now());
  }

  // A step that took a second, a quarter of it waiting for data.
  TrainingMetrics::Step Next() {
    clock_.Advance(absl::Seconds(1));
    ++step_.step;
    step_.images = 8;
    step_.data_wait_seconds += 0.25;
    step_.gradient_wait_seconds += 0.5;
    return step_;
  }

  std::vector<nlohmann::json> Log() const {
    std::ifstream file(log_path_);
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);)
      lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  const TemporaryFolder folder_;
  const std::filesystem::path log_path_ = folder_.path() / "metrics.jsonl";
  ManualClock clock_;
  std::vector<std::string> shown_;
  ProgressDisplay display_{
      {.mode = ProgressMode::kLines,
       .is_terminal = false,
       .columns = nullptr,
       .batch_size = 8,
       .log_every = 2},
      [this](const std::string& text) { shown_.push_back(text); },
      &clock_};
  TrainingMetrics metrics_{"test", 4};
  TrainingReporter reporter_{
      {.batch_size = 8, .total_steps = 4, .several_processes = true},
      &display_,
      &metrics_};
  TrainingMetrics::Step step_;
};

TEST_F(TrainingReporterTest, ALineHasTheMeansSinceTheOneBefore) {
  for (const double loss : {1.0, 2.0, 3.0, 5.0}) {
    TrainingMetrics::Step step = Next();
    step.discriminator_real_loss = loss - 0.5;
    step.discriminator_fake_loss = 0.5;
    reporter_.OnStep(step, clock_.Now(), step.step % 2 == 0);
  }
  EXPECT_THAT(
      shown_,
      ElementsAre(HasSubstr("step 2/4 (50%)  16 images  8.0 images/s  D 1.500"),
                  HasSubstr("step 4/4 (100%)  32 images  8.0 images/s  D "
                            "4.000")));
  const std::vector<nlohmann::json> log = Log();
  ASSERT_THAT(log, SizeIs(2));
  // Of a loss it has the last step's.
  EXPECT_EQ(log[1]["d_loss_real"], 4.5);
  EXPECT_EQ(log[1]["images"], 32);
  EXPECT_EQ(log[1]["images_per_second"], 8.0);
  EXPECT_EQ(log[1]["data_wait_share"], 0.25);
  EXPECT_EQ(log[1]["gradient_wait_share"], 0.5);
}

TEST_F(TrainingReporterTest, TheMeanOfTheGeneratorIsOverStepsThatTrainedIt) {
  TrainingMetrics::Step step = Next();
  reporter_.OnStep(step, clock_.Now(), false);
  step = Next();
  step.generator_loss = 0.75;
  reporter_.OnStep(step, clock_.Now(), true);
  EXPECT_THAT(shown_, ElementsAre(HasSubstr("G 0.750")));
}

TEST_F(TrainingReporterTest, TheLastPenaltyIsShownUntilTheNext) {
  TrainingMetrics::Step step = Next();
  step.r1 = 0.5;
  reporter_.OnStep(step, clock_.Now(), false);
  reporter_.OnStep(Next(), clock_.Now(), true);
  EXPECT_THAT(shown_, ElementsAre(HasSubstr("R1 0.5000")));
  EXPECT_FALSE(Log()[0].contains("r1"));
}

TEST_F(TrainingReporterTest, EveryStepIsCountedForPrometheus) {
  reporter_.OnStep(Next(), clock_.Now(), false);
  reporter_.OnStep(Next(), clock_.Now(), false);
  EXPECT_THAT(metrics_.Text(), HasSubstr("ddgan_training_steps_total 2"));
  EXPECT_THAT(Log(), SizeIs(0));
}

TEST_F(TrainingReporterTest, SaysWhatStoppedNothing) {
  reporter_.PrintFailure(7, absl::OkStatus());
  reporter_.PrintFailure(7, absl::ResourceExhaustedError("the disk is full"));
  EXPECT_THAT(shown_,
              ElementsAre("step 7: the disk is full; training goes on\n"));
}

TEST(SilentTrainingReporterTest, TellsNobodyWhereNobodyListens) {
  TrainingReporter reporter({}, nullptr, nullptr);
  reporter.Print("a line");
  reporter.OnResumed(1, std::nullopt);
  reporter.OnPublish(PublishResult::kFailed, 1, absl::UnixEpoch());
  reporter.OnStateSaved(absl::Seconds(1));
}

}  // namespace
}  // namespace ddgan
