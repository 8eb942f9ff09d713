// What the tests of BatchScheduler share: a scheduler on a clock that stands
// still, whose lanes are the tests themselves.
#ifndef DDGAN_TESTS_ENGINE_SCHEDULING_BATCH_SCHEDULER_FIXTURE_H_
#define DDGAN_TESTS_ENGINE_SCHEDULING_BATCH_SCHEDULER_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/scheduling/batch_scheduler.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/recording_sink.h"
#include "tests/fakes/scripted_batch_runner.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/submit_at_once.h"

namespace ddgan {

// The tests are the lanes: they take batches and say what came of them.
class BatchSchedulerTest : public ::testing::Test {
 protected:
  BatchScheduler& Scheduler(int max_batch_size = 8, int max_queued_images = 64,
                            size_t num_lanes = 1,
                            absl::Duration max_wait = absl::ZeroDuration()) {
    BatchScheduler::Options options;
    BatchLimits limits;
    limits.max_batch_size = max_batch_size;
    limits.max_wait = max_wait;
    options.lane_limits.assign(num_lanes, limits);
    options.max_queued_images = max_queued_images;
    return Scheduler(options);
  }
  BatchScheduler& Scheduler(const BatchScheduler::Options& options) {
    scheduler_.emplace(options, &observer_, &clock_);
    return *scheduler_;
  }

  absl::StatusOr<Acceptance> TrySubmit(
      uint32_t count, std::shared_ptr<const ServableVersion> version,
      absl::Time deadline = absl::InfiniteFuture()) {
    sink_ = std::make_shared<RecordingSink>();
    GenerationRequest request;
    request.count = count;
    request.seed = 7;
    request.deadline = deadline;
    return SubmitAtOnce(*scheduler_, std::move(version), request, sink_);
  }

  // Submits and returns the sink; `last_id_` is the request.
  std::shared_ptr<RecordingSink> Submit(
      uint32_t count, absl::Time deadline = absl::InfiniteFuture()) {
    return Submit(count, version_, deadline);
  }
  std::shared_ptr<RecordingSink> Submit(
      uint32_t count, std::shared_ptr<const ServableVersion> version,
      absl::Time deadline = absl::InfiniteFuture()) {
    const absl::StatusOr<Acceptance> accepted =
        TrySubmit(count, std::move(version), deadline);
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    last_id_ = accepted.ok() ? accepted->id : 0;
    return sink_;
  }

  // Room for `count` images.
  absl::StatusOr<std::unique_ptr<BatchScheduler::Place>> Reserve(
      uint32_t count, absl::Time deadline = absl::InfiniteFuture()) {
    GenerationRequest request;
    request.count = count;
    request.deadline = deadline;
    return scheduler_->Reserve(version_, request);
  }

  // Requests of one caller, 16 images each.
  void SubmitMany(const std::string& caller, int requests,
                  std::optional<double> weight = std::nullopt) {
    for (int i = 0; i < requests; ++i) {
      GenerationRequest request;
      request.count = 16;
      request.caller = caller;
      request.caller_weight = weight;
      sinks_[caller].push_back(std::make_shared<RecordingSink>());
      ASSERT_TRUE(
          SubmitAtOnce(*scheduler_, version_, request, sinks_[caller].back())
              .ok());
    }
  }

  // How many of those that SubmitMany asked for are done.
  int ImagesOf(const std::string& caller) {
    int count = 0;
    for (const auto& sink : sinks_[caller]) {
      count += static_cast<int>(sink->images().size());
    }
    return count;
  }

  // What the lane would run now; empty instead of blocking.
  LaneBatch Next(size_t lane = 0) {
    scheduler_->Interrupt(lane);
    LaneBatch batch;
    EXPECT_TRUE(scheduler_->NextBatch(lane, &batch));
    return batch;
  }

  // A batch that only forgets has no step to finish.
  void Succeed(const LaneBatch& batch, size_t lane = 0) {
    if (batch.rows.empty()) return;
    StepOutcome outcome;
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const StepRow& row = batch.rows[i];
      if (row.step == 0) {
        outcome.finished.push_back(
            {i, PixelBuffer(ScriptedPixels(row.seed, row.image_index))});
      }
    }
    // A runner may return them in any order.
    std::reverse(outcome.finished.begin(), outcome.finished.end());
    scheduler_->FinishBatch(lane, &outcome);
  }

  // One tick that goes well; the steps t of its rows.
  std::vector<int> Tick(size_t lane = 0) {
    const LaneBatch batch = Next(lane);
    Succeed(batch, lane);
    return Steps(batch);
  }

  static std::vector<int> Steps(const LaneBatch& batch) {
    std::vector<int> steps;
    for (const StepRow& row : batch.rows) steps.push_back(row.step);
    return steps;
  }

  ManualClock clock_;
  RecordingObserver observer_;
  std::map<std::string, std::vector<std::shared_ptr<RecordingSink>>> sinks_;
  const std::shared_ptr<const ServableVersion> version_ =
      SharedServableVersion("digits", 1, /*num_timesteps=*/4);
  std::shared_ptr<RecordingSink> sink_;
  RequestId last_id_ = 0;
  std::optional<BatchScheduler> scheduler_;
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_ENGINE_SCHEDULING_BATCH_SCHEDULER_FIXTURE_H_
