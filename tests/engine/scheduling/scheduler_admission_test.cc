// Who is taken, who is refused, and what a place is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/api/retry_hint.h"
#include "tests/engine/scheduling/batch_scheduler_fixture.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(BatchSchedulerTest, AFullQueueRefusesAtOnceAndTakesTheNextWhenFree) {
  Scheduler(/*max_batch_size=*/8, /*max_queued_images=*/4);
  Submit(3);
  const absl::StatusOr<Acceptance> refused = TrySubmit(2, version_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("no room for 2 images: 3 of at most 4"));
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kQueueFull));
  Submit(1);
  for (int step = 0; step < 4; ++step) Tick();
  Submit(4);
}

TEST_F(BatchSchedulerTest, OneAccountDoesNotFillTheQueue) {
  Scheduler(/*max_batch_size=*/8, /*max_queued_images=*/16);
  const auto reserve = [this](const char* account, uint32_t count) {
    GenerationRequest request;
    request.count = count;
    request.account = account;
    return scheduler_->Reserve(version_, request);
  };
  std::vector<std::unique_ptr<BatchScheduler::Place>> places;
  absl::Status status;
  while (status.ok()) {
    auto place = reserve("flood", 1);
    status = place.status();
    if (place.ok()) places.push_back(*std::move(place));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(places, SizeIs(8));
  EXPECT_TRUE(reserve("other", 8).ok());
  places.resize(7);
  EXPECT_TRUE(reserve("flood", 1).ok());
}

TEST_F(BatchSchedulerTest, APartOfAPlaceIsAPlaceOfItsOwn) {
  Scheduler(/*max_batch_size=*/8, /*max_queued_images=*/4);
  auto place = *Reserve(4);
  auto part = place->Take({1, 3});
  auto last = place->Take({2});
  EXPECT_FALSE(Reserve(1).ok());  // All four are held as before.
  place.reset();                  // Of the image at 0.
  EXPECT_TRUE(Reserve(1).ok());
  EXPECT_FALSE(Reserve(2).ok());
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(
      scheduler_
          ->Submit(std::unique_ptr<BatchScheduler::Place>(
                       static_cast<BatchScheduler::Place*>(part.release())),
                   nullptr, sink)
          .ok());
  for (int step = 0; step < 4; ++step) Tick();
  ASSERT_TRUE(sink->finished());
  ASSERT_THAT(sink->images(), SizeIs(2));
  EXPECT_EQ(sink->images()[0].index, 1u);
  EXPECT_EQ(sink->images()[1].index, 3u);
  EXPECT_FALSE(Reserve(4).ok());
  last.reset();
  EXPECT_TRUE(Reserve(4).ok());
}

TEST_F(BatchSchedulerTest, ADeadlineThatHasPassedIsRefusedOnArrival) {
  Scheduler();
  const absl::StatusOr<Acceptance> refused =
      TrySubmit(1, version_, clock_.Now());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kDeadline));
}

TEST_F(BatchSchedulerTest, BytesAreBoundedLikeImages) {
  BatchScheduler::Options options;
  options.max_queued_bytes = 2 * 64 * 9;  // Two 8x8 images.
  Scheduler(options);
  Submit(2);
  const auto refused = TrySubmit(1, version_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("bytes"));
  EXPECT_TRUE(RetryAfter(refused.status()).has_value());
  for (int step = 0; step < 4; ++step) Tick();
  Submit(2);
}

TEST_F(BatchSchedulerTest, ADeadlineThatCannotBeMetIsRefusedOnArrival) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  // 4 steps of 10 ms each, a margin of a half, and a tenth for the rest.
  EXPECT_EQ(TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(66))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kUnmeetableDeadline));
  const auto first = Submit(1, clock_.Now() + absl::Milliseconds(67));
  // Behind that one it takes twice as long.
  const auto refused =
      TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(110));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("1 images take about"));
  Submit(1, clock_.Now() + absl::Milliseconds(150));
}

// All callers have deadlines, and the only step that was measured had stalled.
TEST_F(BatchSchedulerTest, CostsThatRefuseEverybodyAreMeasuredAnew) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Minutes(1));
  const auto ask = [this] {
    return TrySubmit(1, version_, clock_.Now() + absl::Seconds(1)).status();
  };
  EXPECT_EQ(ask().code(), absl::StatusCode::kDeadlineExceeded);
  clock_.Advance(StepCosts::kTrialInterval);
  EXPECT_TRUE(ask().ok());
  // Nobody is let in beside it.
  EXPECT_EQ(ask().code(), absl::StatusCode::kDeadlineExceeded);
  const LaneBatch batch = Next();
  ASSERT_THAT(batch.rows, SizeIs(1));
  StepOutcome outcome;
  outcome.device_time = absl::Milliseconds(10);
  scheduler_->FinishBatch(0, &outcome);
  EXPECT_TRUE(ask().ok());
}

TEST_F(BatchSchedulerTest, ADeadlineBehindASlowTickOfAnotherModelIsRefused) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  const auto slow = SharedServableVersion("faces", 1);
  slow->costs->Record(1, absl::Milliseconds(100));
  const auto none = Submit(1, slow);
  const LaneBatch running = Next();
  // 4 steps of 10 ms with a margin of a half come after the 100 ms; a tenth is
  // for the rest.
  EXPECT_EQ(TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(176))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  Submit(1, clock_.Now() + absl::Milliseconds(178));
  Succeed(running);
}

TEST_F(BatchSchedulerTest, ADeadlineAheadOfAnotherMustNotSpoilIt) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  Submit(2, clock_.Now() + absl::Milliseconds(140));
  // This one alone would be in time, but it would go first.
  EXPECT_EQ(TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(100))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  Submit(1, clock_.Now() + absl::Seconds(1));
}

TEST_F(BatchSchedulerTest, AnAcceptedDeadlineIsMetAgainstTheShareOfOthers) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  GenerationRequest crowd;
  crowd.count = 20;
  crowd.caller = "crowd";
  const auto others = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, crowd, others).ok());
  const auto sink = Submit(3, clock_.Now() + absl::Milliseconds(240));
  while (!sink->finished()) {
    const LaneBatch batch = Next();
    clock_.Advance(absl::Milliseconds(10));
    StepOutcome outcome;
    outcome.device_time = absl::Milliseconds(10);
    if (batch.rows[0].step == 0) outcome.finished.push_back({0, {}});
    scheduler_->FinishBatch(0, &outcome);
  }
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, AnAcceptanceTellsThePlaceInTheQueue) {
  Scheduler(/*max_batch_size=*/2);
  EXPECT_FALSE(TrySubmit(1, version_)->expected_start.has_value());
  version_->costs->Record(2, absl::Milliseconds(10));
  const auto next = TrySubmit(1, version_);
  EXPECT_EQ(next->images_ahead, 1);
  EXPECT_EQ(next->expected_start, absl::Milliseconds(10));
  // A full batch must run to its end first.
  EXPECT_EQ(TrySubmit(1, version_)->expected_start, absl::Milliseconds(40));
}

TEST_F(BatchSchedulerTest, APlaceCountsLikeARequestThatWaitsButDoesNotRun) {
  Scheduler(/*max_batch_size=*/2, /*max_queued_images=*/4);
  version_->costs->Record(2, absl::Milliseconds(10));
  auto place = Reserve(3);
  ASSERT_TRUE(place.ok()) << place.status();
  EXPECT_THAT(Next().rows, IsEmpty());
  EXPECT_EQ(observer_.events().queue_state, RecordingObserver::QueueState{});
  EXPECT_THAT(std::string(TrySubmit(2, version_).status().message()),
              HasSubstr("no room for 2 images: 3 of at most 4"));
  const auto accepted = TrySubmit(1, version_);
  EXPECT_EQ(accepted->images_ahead, 0);
  EXPECT_EQ(accepted->expected_start, absl::Milliseconds(40));
  // Given back unused.
  place->reset();
  Submit(3);
}

TEST_F(BatchSchedulerTest, APlaceThatIsSubmittedRunsLikeAnyRequest) {
  Scheduler();
  auto place = Reserve(2);
  const auto first = Submit(1);
  const auto sink = std::make_shared<RecordingSink>();
  clock_.Advance(absl::Seconds(3));
  const auto accepted = scheduler_->Submit(*std::move(place), nullptr, sink);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->identity, version_->identity);
  EXPECT_EQ(accepted->shape, version_->shape);
  EXPECT_EQ(accepted->num_timesteps, 4);
  EXPECT_EQ(accepted->images_ahead, 1);
  for (int step = 3; step >= 0; --step) {
    EXPECT_THAT(Tick(), ElementsAre(step, step, step));
  }
  EXPECT_EQ(sink->status(), absl::OkStatus());
  // Acceptance is Submit: the time before it is not the queue's.
  EXPECT_EQ(sink->timings().queue, absl::ZeroDuration());
  EXPECT_EQ(first->timings().queue, absl::Seconds(3));
}

TEST_F(BatchSchedulerTest, AnUnpackedGuideTakesRoomUntilItIsFitted) {
  BatchScheduler::Options options;
  options.max_queued_bytes = 1'001'000;
  Scheduler(options);
  GenerationRequest request;
  request.guide = Guide{2, GuideFit::kResize, {1, 1000, 1000}};
  auto place = scheduler_->Reserve(version_, request);
  ASSERT_TRUE(place.ok()) << place.status();
  const auto refused = scheduler_->Reserve(version_, request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  const auto planes = std::make_shared<const std::vector<float>>(64);
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(scheduler_->Submit(*std::move(place), planes, sink).ok());
  // The request's own 832 bytes leave room for small ones, not for another
  // picture.
  EXPECT_FALSE(scheduler_->Reserve(version_, request).ok());
  request.guide->picture = {1, 999, 1000};
  EXPECT_TRUE(scheduler_->Reserve(version_, request).ok());
}

TEST_F(BatchSchedulerTest, APlaceHoldsItsTimeBeforeItsDeadline) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  auto place = Reserve(1, clock_.Now() + absl::Milliseconds(67));
  ASSERT_TRUE(place.ok()) << place.status();
  // Behind that one it takes twice as long.
  EXPECT_EQ(Reserve(1, clock_.Now() + absl::Milliseconds(110)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  place->reset();
  EXPECT_TRUE(Reserve(1, clock_.Now() + absl::Milliseconds(110)).ok());
}

TEST_F(BatchSchedulerTest, APlaceWhoseDeadlineHasPassedIsRefusedAndGivenBack) {
  Scheduler(/*max_batch_size=*/8, /*max_queued_images=*/4);
  auto place = Reserve(4, clock_.Now() + absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  const auto sink = std::make_shared<RecordingSink>();
  EXPECT_EQ(
      scheduler_->Submit(*std::move(place), nullptr, sink).status().code(),
      absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kDeadline));
  EXPECT_FALSE(sink->finished());
  Submit(4);
}

TEST_F(BatchSchedulerTest, APlaceNeitherHoldsUpADrainNorOutlivesItAsARequest) {
  Scheduler();
  auto submitted = Reserve(1);
  auto dropped = Reserve(1);
  scheduler_->Drain(absl::InfiniteFuture());
  scheduler_->Stop();
  EXPECT_EQ(scheduler_
                ->Submit(*std::move(submitted), nullptr,
                         std::make_shared<RecordingSink>())
                .status()
                .code(),
            absl::StatusCode::kUnavailable);
  dropped->reset();
}

}  // namespace
}  // namespace ddgan
