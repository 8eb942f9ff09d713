// The lifetime of a call without gRPC: a fake engine, real encoders.
#include "server/calls/call_lifetime.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"
#include "engine/imaging/png_encoder.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_engine.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr uint32_t kFirstIndex = 10;

// Notes what comes of a call.
class NotedCall : public CallLifetime {
 public:
  // Came in `age` ago, and has `limit` from then on.
  explicit NotedCall(const Parts& parts,
                     absl::Duration age = absl::ZeroDuration(),
                     absl::Duration limit = absl::InfiniteDuration())
      : NotedCall(parts, RealMonotonicClock()->Now() - age, limit) {}

  using CallLifetime::Begin;
  using CallLifetime::BeTimed;
  using CallLifetime::Cancel;
  using CallLifetime::EndSubmission;
  using CallLifetime::Outcome;
  using CallLifetime::RunOnEncoder;
  using CallLifetime::Settle;
  using CallLifetime::Submit;
  using CallLifetime::timer;

  std::optional<Acceptance> acceptance() const {
    absl::MutexLock lock(&mu_);
    return acceptance_;
  }
  // What has been encoded, by position.
  std::map<uint32_t, std::vector<std::string>> images() const {
    absl::MutexLock lock(&mu_);
    return images_;
  }
  const absl::Notification& ended() const { return ended_; }

 private:
  NotedCall(const Parts& parts, absl::Time arrived, absl::Duration limit)
      : CallLifetime(parts, arrived, arrived + limit) {}

  void HandleAcceptance(const Acceptance& acceptance) override {
    absl::MutexLock lock(&mu_);
    acceptance_ = acceptance;
  }
  void HandleImage(uint32_t position, std::vector<std::string> data) override {
    absl::MutexLock lock(&mu_);
    images_.emplace(position, std::move(data));
  }
  void HandleEnd() override { ended_.Notify(); }  // Once, or it ends the test.

  mutable absl::Mutex mu_;
  std::optional<Acceptance> acceptance_ ABSL_GUARDED_BY(mu_);
  std::map<uint32_t, std::vector<std::string>> images_ ABSL_GUARDED_BY(mu_);
  absl::Notification ended_;
};

class CallLifetimeTest : public ::testing::Test {
 protected:
  // A request for two images that has its place, and room at the encoders.
  std::unique_ptr<Reservation> Begin(NotedCall* call) {
    Admission admission;
    admission.request.formats = {v1::OUTPUT_FORMAT_RAW8};
    admission.request.generation.count = 2;
    admission.request.generation.first_index = kFirstIndex;
    admission.holdings.encoder_room = encode_pool_.Reserve(2);
    absl::StatusOr<std::unique_ptr<Reservation>> place = engine_.Reserve(
        *engine_.Resolve("", std::nullopt), admission.request.generation);
    call->Begin(std::move(admission));
    return *std::move(place);
  }

  FakeEngine engine_;
  CallObserver metrics_;
  EncodePool encode_pool_{1, 100};
  const CallLifetime::Parts parts_ = {
      .engine = &engine_, .encode_pool = &encode_pool_, .metrics = &metrics_};
  const std::shared_ptr<NotedCall> call_ = std::make_shared<NotedCall>(parts_);
};

TEST_F(CallLifetimeTest, EndsOnceWithEveryImageThatTheEngineMade) {
  const absl::Status status = call_->Submit(Begin(call_.get()), nullptr);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_FALSE(call_->ended().HasBeenNotified());  // The submission is pending.
  call_->EndSubmission(status);
  call_->ended().WaitForNotification();
  EXPECT_TRUE(call_->acceptance().has_value());
  EXPECT_THAT(call_->images(),
              ElementsAre(Pair(0, SizeIs(1)), Pair(1, SizeIs(1))));
  const auto ending = call_->Settle(/*unread=*/false);
  EXPECT_TRUE(ending.outcome.ok()) << ending.outcome;
  EXPECT_EQ(ending.timings->steps, FakeEngine::kStepsTime);
}

TEST_F(CallLifetimeTest, ATimedCallNotesItsQueueAndEachEncoding) {
  call_->BeTimed(std::make_unique<CallTimer>());
  const absl::Time start = RealMonotonicClock()->Now();
  call_->EndSubmission(call_->Submit(Begin(call_.get()), nullptr));
  call_->ended().WaitForNotification();
  const absl::Time end = RealMonotonicClock()->Now();
  const CallTimeline timeline =
      call_->timer()->Finish(RpcMethod::kGenerate, start, end);
  std::vector<uint32_t> encoded;
  int queued = 0;
  for (const CallPart& part : timeline.parts) {
    EXPECT_GE(part.start, start);
    if (part.kind == CallPart::Kind::kQueue) {
      ++queued;
      EXPECT_EQ(part.end - part.start, FakeEngine::kQueueTime);
      continue;
    }
    EXPECT_EQ(part.kind, CallPart::Kind::kEncode);
    EXPECT_LE(part.end, end);
    EXPECT_EQ(part.preview_step, std::nullopt);
    encoded.push_back(part.position.value());
  }
  EXPECT_EQ(queued, 1);
  EXPECT_THAT(encoded, ::testing::UnorderedElementsAre(0, 1));
}

TEST(CallTimerTest, EveryWriteIsAPartAndOneThatNeverBeganIsNone) {
  CallTimer timer;
  const absl::Time start = absl::UnixEpoch();
  timer.EndWrite(start);
  timer.BeginWrite(start);
  timer.EndWrite(start + absl::Seconds(1));
  timer.EndWrite(start + absl::Seconds(2));
  const CallTimeline timeline =
      timer.Finish(RpcMethod::kGenerateStream, start, start);
  ASSERT_THAT(timeline.parts, SizeIs(1));
  EXPECT_EQ(timeline.parts[0].kind, CallPart::Kind::kWrite);
  EXPECT_EQ(timeline.parts[0].end - timeline.parts[0].start, absl::Seconds(1));
}

TEST(CallTimerTest, PartsAreBoundedAndTheRestIsCounted) {
  CallTimer timer;
  for (size_t i = 0; i < CallTimer::kMaxParts + 3; ++i) timer.Add({});
  const CallTimeline timeline =
      timer.Finish(RpcMethod::kGenerate, absl::UnixEpoch(), absl::UnixEpoch());
  EXPECT_THAT(timeline.parts, SizeIs(CallTimer::kMaxParts));
  EXPECT_EQ(timeline.parts_left_out, 3);
}

TEST_F(CallLifetimeTest, ACallCancelledDuringItsSubmissionIsCancelledByIt) {
  engine_.HoldRequests();
  engine_.Stall();
  std::thread submitter([this, place = Begin(call_.get())]() mutable {
    call_->EndSubmission(call_->Submit(std::move(place), nullptr));
  });
  engine_.WaitForStalled();
  call_->Cancel();  // There is no id yet to cancel.
  EXPECT_EQ(engine_.cancels(), 0);
  engine_.Resume();
  submitter.join();
  ASSERT_EQ(engine_.cancels(), 1);
  call_->ended().WaitForNotification();
  EXPECT_TRUE(absl::IsCancelled(call_->Outcome(/*unread=*/false)));
}

TEST_F(CallLifetimeTest, ACallThatIsCancelledLaterIsCancelledInTheEngine) {
  engine_.HoldRequests();
  call_->EndSubmission(call_->Submit(Begin(call_.get()), nullptr));
  const RequestId id = engine_.WaitForHeld(1).front();
  call_->Cancel();
  ASSERT_EQ(engine_.cancels(), 1);
  call_->ended().WaitForNotification();
  engine_.FinishHeld(id, absl::OkStatus());  // Is gone.
  EXPECT_THAT(call_->images(), IsEmpty());
}

TEST_F(CallLifetimeTest, ARefusedSubmissionEndsTheCallAndGivesThePlaceBack) {
  engine_.RefuseSubmissions(absl::InvalidArgumentError("guide.png: 2x1"));
  const absl::Status status = call_->Submit(Begin(call_.get()), nullptr);
  EXPECT_EQ(engine_.places(), 0);
  call_->EndSubmission(status);
  EXPECT_TRUE(call_->ended().HasBeenNotified());
  EXPECT_EQ(call_->Outcome(/*unread=*/false), status);
  EXPECT_FALSE(call_->acceptance().has_value());
}

TEST_F(CallLifetimeTest, SaysWhyACallThatWasCancelledWas) {
  engine_.HoldRequests();
  call_->EndSubmission(call_->Submit(Begin(call_.get()), nullptr));
  call_->Cancel();
  call_->ended().WaitForNotification();
  EXPECT_EQ(call_->Outcome(/*unread=*/true),
            absl::DeadlineExceededError("the caller did not read in time"));
  EXPECT_EQ(call_->Outcome(/*unread=*/false),
            absl::CancelledError("the caller cancelled"));
}

// The caller's clock may end a call slightly before ours does.
TEST_F(CallLifetimeTest, ACallCancelledCloseToItsDeadlineIsOutOfTime) {
  engine_.HoldRequests();
  constexpr absl::Duration kLimit = absl::Hours(10);
  for (const auto& [age, code] :
       {std::pair(0.97 * kLimit, absl::StatusCode::kCancelled),
        std::pair(0.99 * kLimit, absl::StatusCode::kDeadlineExceeded)}) {
    const auto call = std::make_shared<NotedCall>(parts_, age, kLimit);
    call->EndSubmission(call->Submit(Begin(call.get()), nullptr));
    call->Cancel();
    call->ended().WaitForNotification();
    EXPECT_EQ(call->Outcome(/*unread=*/false).code(), code) << age;
  }
}

TEST_F(CallLifetimeTest, WhatIsOutOfTimeIsNotEncoded) {
  engine_.HoldRequests();
  absl::Notification go_on;
  encode_pool_.Run([&go_on] { go_on.WaitForNotification(); });
  call_->EndSubmission(call_->Submit(Begin(call_.get()), nullptr));
  const RequestId id = engine_.WaitForHeld(1).front();
  engine_.DeliverHeld(id, 0);
  engine_.FinishHeld(id, absl::DeadlineExceededError("the deadline passed"));
  go_on.Notify();
  call_->ended().WaitForNotification();
  EXPECT_THAT(call_->images(), IsEmpty());
}

// A stream is settled only when its reader has read everything.
TEST_F(CallLifetimeTest, TheEncodersRoomIsFreeOnceNothingWaitsForThem) {
  engine_.HoldRequests();
  call_->EndSubmission(call_->Submit(Begin(call_.get()), nullptr));
  const RequestId id = engine_.WaitForHeld(1).front();
  EXPECT_FALSE(encode_pool_.Reserve(100).has_value());
  engine_.DeliverHeld(id, 0);
  engine_.DeliverHeld(id, 1);
  engine_.FinishHeld(id, absl::OkStatus());
  call_->ended().WaitForNotification();
  EXPECT_TRUE(encode_pool_.Reserve(100).has_value());  // It is not settled.
}

TEST_F(CallLifetimeTest, OnceItHasEndedItTakesNoMoreWork) {
  const absl::Status status = call_->Submit(Begin(call_.get()), nullptr);
  call_->EndSubmission(status);
  call_->ended().WaitForNotification();
  bool ran = false;
  call_->RunOnEncoder([&ran] { ran = true; });
  absl::Notification after;  // The encoder's only thread takes turns.
  encode_pool_.Run([&after] { after.Notify(); });
  after.WaitForNotification();
  EXPECT_FALSE(ran);
}

TEST_F(CallLifetimeTest, AnImageIsEncodedInAllFormatsFromWhatTheEngineMade) {
  Admission admission;
  admission.request.formats = {v1::OUTPUT_FORMAT_FLOAT32,
                               v1::OUTPUT_FORMAT_RAW8, v1::OUTPUT_FORMAT_PNG};
  GenerationRequest& generation = admission.request.generation;
  generation.count = 1;
  generation.pixel_format = PixelFormatFor(admission.request.formats);
  generation.noise = {{.seed = 5, .index = 9}};
  const ModelIdentity identity = {"digits", 3, std::string(64, 'd')};
  admission.provenance.emplace(identity, 4);
  std::unique_ptr<Reservation> place =
      *engine_.Reserve(*engine_.Resolve("", std::nullopt), generation);
  call_->Begin(std::move(admission));
  call_->EndSubmission(call_->Submit(std::move(place), nullptr));
  call_->ended().WaitForNotification();

  constexpr ImageShape kShape = {1, 8, 8};
  const std::vector<uint8_t> floats =
      FakePixels(5, 9, kShape, PixelFormat::kFloat32);
  std::vector<uint8_t> bytes(kShape.numel());
  ToRgb8Cpu({reinterpret_cast<const float*>(floats.data()), kShape.numel()},
            kShape, absl::MakeSpan(bytes));
  PngOptions options;
  options.text = PngProvenance(identity, 4).OfImage({5, 9});
  ASSERT_THAT(call_->images(), SizeIs(1));
  EXPECT_THAT(call_->images().at(0),
              ElementsAre(std::string(floats.begin(), floats.end()),
                          std::string(bytes.begin(), bytes.end()),
                          *EncodePng(bytes, kShape, options)));
}

TEST_F(CallLifetimeTest, AnImageThatTheEngineLeavesOutIsAnError) {
  engine_.HoldRequests();
  call_->EndSubmission(call_->Submit(Begin(call_.get()), nullptr));
  const RequestId id = engine_.WaitForHeld(1).front();
  engine_.DeliverHeld(id, 0);
  engine_.FinishHeld(id, absl::OkStatus());
  call_->ended().WaitForNotification();
  EXPECT_EQ(call_->Outcome(/*unread=*/false),
            absl::InternalError("the engine finished without image 11"));
}

}  // namespace
}  // namespace ddgan
