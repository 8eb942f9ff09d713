#include "trainer/run/training_metrics.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/promtool.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TrainingMetrics::Step FullStep() {
  TrainingMetrics::Step step;
  step.step = 26;
  step.images = 32;
  step.duration = absl::Milliseconds(150);
  step.data_wait_seconds = 0.5;
  step.damaged_images = 2;
  step.gradient_wait_seconds = 0.25;
  step.gradient_bytes = 4096;
  step.gradient_sums = 8;
  step.early_gradient_sums = 5;
  step.discriminator_real_loss = 0.25;
  step.discriminator_fake_loss = 0.75;
  step.discriminator_rate = 0.0625;
  step.generator_rate = 0.125;
  step.generator_loss = 1.5;
  step.r1 = 0.03125;
  step.discriminator_gradient_norm = 3;
  step.generator_gradient_norm = 4;
  step.ema_distance = 0.5;
  return step;
}

TEST(TrainingMetricsTest, TellsOfAStepAllThatItComputed) {
  TrainingMetrics metrics("ddgan-train 1.2.3", 100);
  metrics.OnResumed(25, 20);
  EXPECT_THAT(metrics.Text(),
              AllOf(HasSubstr("\nddgan_training_step 25\n"),
                    HasSubstr("\nddgan_training_last_published_version 20\n"),
                    Not(HasSubstr("last_published_timestamp"))));
  metrics.OnStep(FullStep());
  EXPECT_THAT(
      metrics.Text(),
      AllOf(HasSubstr(
                "ddgan_training_build_info{version=\"ddgan-train 1.2.3\"} 1\n"),
            HasSubstr("\nddgan_training_step 26\n"),
            HasSubstr("\nddgan_training_last_step 100\n"),
            HasSubstr("\nddgan_training_steps_total 1\n"),
            HasSubstr("\nddgan_training_images_total 32\n"),
            HasSubstr("\nddgan_training_step_duration_seconds_count 1\n"),
            HasSubstr("seconds_bucket{le=\"0.1\"} 0\n"),
            HasSubstr("seconds_bucket{le=\"0.2\"} 1\n"),
            HasSubstr("\nddgan_training_data_wait_seconds_total 0.5\n")));
  EXPECT_THAT(
      metrics.Text(),
      AllOf(HasSubstr("\nddgan_training_damaged_images_total 2\n"),
            HasSubstr("training_loss{network=\"discriminator_real\"} 0.25\n"),
            HasSubstr("training_loss{network=\"discriminator_fake\"} 0.75\n"),
            HasSubstr("training_loss{network=\"generator\"} 1.5\n"),
            HasSubstr("\nddgan_training_r1_penalty 0.03125\n"),
            HasSubstr("gradient_norm{network=\"discriminator\"} 3\n"),
            HasSubstr("gradient_norm{network=\"generator\"} 4\n"),
            HasSubstr("learning_rate{network=\"discriminator\"} 0.0625\n"),
            HasSubstr("learning_rate{network=\"generator\"} 0.125\n"),
            HasSubstr("\nddgan_training_ema_distance_ratio 0.5\n")));
  EXPECT_THAT(
      metrics.Text(),
      AllOf(HasSubstr("\nddgan_training_gradient_wait_seconds_total 0.25\n"),
            HasSubstr("\nddgan_training_gradient_bytes_total 4096\n"),
            HasSubstr("sums_total{began=\"during_backward\"} 5\n"),
            HasSubstr("sums_total{began=\"after_backward\"} 3\n")));
}

TEST(TrainingMetricsTest, KeepsTheLastValueOfWhatAStepDidNotCompute) {
  TrainingMetrics metrics("1", 100);
  metrics.OnStep(TrainingMetrics::Step());
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("ddgan_training_r1_penalty")));
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("{network=\"generator\"} 1.5")));
  metrics.OnStep(FullStep());
  metrics.OnStep(TrainingMetrics::Step());
  EXPECT_THAT(metrics.Text(),
              HasSubstr("\nddgan_training_r1_penalty 0.03125\n"));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("training_loss{network=\"generator\"} 1.5\n"));
}

TEST(TrainingMetricsTest, FollowsWhatTheBatchSourceCounts) {
  TrainingMetrics metrics("1", 100);
  TrainingMetrics::Step step;
  for (const double seconds : {0.5, 0.75, 0.25, 2.0}) {
    step.data_wait_seconds = seconds;
    step.damaged_images = static_cast<int64_t>(4 * seconds);
    metrics.OnStep(step);
  }
  EXPECT_THAT(metrics.Text(),
              HasSubstr("\nddgan_training_data_wait_seconds_total 2\n"));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("\nddgan_training_damaged_images_total 8\n"));
}

TEST(TrainingMetricsTest, CountsPublicationsByTheirResult) {
  TrainingMetrics metrics("1", 100);
  EXPECT_THAT(metrics.Text(),
              AllOf(HasSubstr("versions_total{result=\"published\"} 0\n"),
                    HasSubstr("versions_total{result=\"present\"} 0\n"),
                    HasSubstr("versions_total{result=\"failed\"} 0\n"),
                    Not(HasSubstr("last_published"))));
  metrics.OnPublish(PublishResult::kPublished, 1000,
                    absl::FromUnixSeconds(1700000000));
  metrics.OnPublish(PublishResult::kPresent, 2000,
                    absl::FromUnixSeconds(1800000000));
  metrics.OnPublish(PublishResult::kFailed, 3000, absl::InfiniteFuture());
  EXPECT_THAT(
      metrics.Text(),
      AllOf(HasSubstr("versions_total{result=\"published\"} 1\n"),
            HasSubstr("versions_total{result=\"present\"} 1\n"),
            HasSubstr("versions_total{result=\"failed\"} 1\n"),
            HasSubstr("\nddgan_training_last_published_version 1000\n"),
            HasSubstr("last_published_timestamp_seconds 1700000000\n")));
}

TEST(TrainingMetricsTest, PrometheusHasNoComplaints) {
  TrainingMetrics metrics("1", 100);
  EXPECT_THAT(PromtoolComplaints(metrics.Text()), IsEmpty());
  metrics.OnStep(FullStep());
  metrics.OnPublish(PublishResult::kPublished, 1, absl::UnixEpoch());
  metrics.OnStateSaved(absl::Milliseconds(20));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("state_save_duration_seconds_count 1\n"));
  EXPECT_THAT(PromtoolComplaints(metrics.Text()), IsEmpty());
}

}  // namespace
}  // namespace ddgan
