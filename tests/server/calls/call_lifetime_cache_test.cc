// Calls without gRPC that share images: a fake engine, real encoders.
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/calls/call_lifetime.h"
#include "tests/fakes/fake_engine.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

class SharingCall : public CallLifetime {
 public:
  SharingCall(const Parts& parts, absl::Duration limit)
      : SharingCall(parts, RealMonotonicClock()->Now(), limit) {}

  using CallLifetime::Begin;
  using CallLifetime::BeTimed;
  using CallLifetime::Cancel;
  using CallLifetime::EndSubmission;
  using CallLifetime::Outcome;
  using CallLifetime::Settle;
  using CallLifetime::Submit;
  using CallLifetime::timer;

  int acceptances() const {
    absl::MutexLock lock(&mu_);
    return acceptances_;
  }
  std::map<uint32_t, std::string> images() const {
    absl::MutexLock lock(&mu_);
    return images_;
  }
  absl::Status AwaitEnd() const {
    ended_.WaitForNotification();
    return Outcome(/*unread=*/false);
  }
  bool ended() const { return ended_.HasBeenNotified(); }

 private:
  SharingCall(const Parts& parts, absl::Time arrived, absl::Duration limit)
      : CallLifetime(parts, arrived, arrived + limit) {}

  void HandleAcceptance(const Acceptance& acceptance) override {
    EXPECT_EQ(acceptance.identity.model, "digits");
    absl::MutexLock lock(&mu_);
    ++acceptances_;
  }
  void HandleImage(uint32_t position, std::vector<std::string> data) override {
    absl::MutexLock lock(&mu_);
    EXPECT_TRUE(images_.emplace(position, data.front()).second);
  }
  void HandleEnd() override { ended_.Notify(); }  // Once, or it ends the test.

  mutable absl::Mutex mu_;
  int acceptances_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint32_t, std::string> images_ ABSL_GUARDED_BY(mu_);
  absl::Notification ended_;
};

class CallLifetimeCacheTest : public ::testing::Test {
 protected:
  // A request for the images of these seeds, submitted.
  std::shared_ptr<SharingCall> Call(
      const std::vector<uint64_t>& seeds,
      absl::Duration limit = absl::InfiniteDuration(), bool previews = false) {
    auto call = std::make_shared<SharingCall>(parts_, limit);
    if (timed_) call->BeTimed(std::make_unique<CallTimer>());
    Admission admission;
    admission.request.formats = {v1::OUTPUT_FORMAT_RAW8};
    GenerationRequest& generation = admission.request.generation;
    generation.count = static_cast<uint32_t>(seeds.size());
    generation.previews = previews;
    for (const uint64_t seed : seeds) generation.noise.push_back({seed, 0});
    if (guide_ != nullptr) {
      generation.guide = Guide{2, GuideFit::kResize, guide_->shape};
    }
    const ResolvedModel model = *engine_.Resolve("", std::nullopt);
    admission.without_work.identity = model.identity;
    std::unique_ptr<Reservation> place = *engine_.Reserve(model, generation);
    call->Begin(std::move(admission));
    call->EndSubmission(call->Submit(std::move(place), guide_, "its digest"));
    return call;
  }

  static std::string ImageOf(uint64_t seed) {
    const std::vector<uint8_t> pixels =
        FakePixels(seed, 0, {1, 8, 8}, PixelFormat::kUint8);
    return std::string(pixels.begin(), pixels.end());
  }

  // Delivers all images of a held request, and ends it.
  void Make(RequestId id) {
    const uint32_t count = engine_.HeldRequest(id).count;
    for (uint32_t i = 0; i < count; ++i) engine_.DeliverHeld(id, i);
    engine_.FinishHeld(id, absl::OkStatus());
  }

  std::shared_ptr<const Picture> guide_;  // Of the calls; null: none.
  bool timed_ = false;                    // Whether the calls are.
  FakeEngine engine_;
  CallObserver metrics_;
  ImageCache cache_{1 << 20, &metrics_};
  DeadlineTimer timer_{RealMonotonicClock()};
  EncodePool encode_pool_{2, 100};
  const CallLifetime::Parts parts_ = {.engine = &engine_,
                                      .encode_pool = &encode_pool_,
                                      .metrics = &metrics_,
                                      .cache = &cache_,
                                      .timer = &timer_};
};

TEST_F(CallLifetimeCacheTest, WhatWasMadeIsNotMadeAgain) {
  ASSERT_TRUE(Call({1, 2})->AwaitEnd().ok());
  engine_.RefuseSubmissions(absl::InternalError("nothing is to be submitted"));
  const auto call = Call({2, 1, 2});
  ASSERT_TRUE(call->AwaitEnd().ok()) << call->AwaitEnd();
  EXPECT_THAT(call->images(),
              ElementsAre(Pair(0, ImageOf(2)), Pair(1, ImageOf(1)),
                          Pair(2, ImageOf(2))));
  EXPECT_EQ(call->acceptances(), 1);
  EXPECT_EQ(engine_.places(), 0);
  // It counts as taken, so that its quota is not given back.
  EXPECT_TRUE(call->Settle(/*unread=*/false).acceptance.has_value());
}

TEST_F(CallLifetimeCacheTest, OnlyWhatIsNotKeptIsSubmitted) {
  ASSERT_TRUE(Call({1, 2})->AwaitEnd().ok());
  engine_.HoldRequests();
  const auto call = Call({5, 1, 6, 2});
  const RequestId id = engine_.WaitForHeld(1).front();
  EXPECT_THAT(engine_.HeldRequest(id).noise,
              ElementsAre(ImageNoise{5, 0}, ImageNoise{6, 0}));
  EXPECT_EQ(engine_.places(), 0);  // The others' is given back.
  Make(id);
  ASSERT_TRUE(call->AwaitEnd().ok()) << call->AwaitEnd();
  EXPECT_THAT(call->images(),
              ElementsAre(Pair(0, ImageOf(5)), Pair(1, ImageOf(1)),
                          Pair(2, ImageOf(6)), Pair(3, ImageOf(2))));
}

TEST_F(CallLifetimeCacheTest, WhatIsOnItsWayIsWaitedFor) {
  engine_.HoldRequests();
  const auto first = Call({1, 2});
  const RequestId id = engine_.WaitForHeld(1).front();
  const auto second = Call({2});
  const auto third = Call({2, 2});
  EXPECT_EQ(engine_.place_images(), 3);  // Theirs, which they may need yet.
  EXPECT_THAT(engine_.WaitForHeld(1), SizeIs(1));
  engine_.DeliverHeld(id, 1);
  ASSERT_TRUE(second->AwaitEnd().ok());
  ASSERT_TRUE(third->AwaitEnd().ok());
  EXPECT_EQ(engine_.places(), 0);
  EXPECT_THAT(second->images(), ElementsAre(Pair(0, ImageOf(2))));
  EXPECT_THAT(third->images(),
              ElementsAre(Pair(0, ImageOf(2)), Pair(1, ImageOf(2))));
  EXPECT_FALSE(first->ended());
  engine_.DeliverHeld(id, 0);
  engine_.FinishHeld(id, absl::OkStatus());
  EXPECT_TRUE(first->AwaitEnd().ok());
}

TEST_F(CallLifetimeCacheTest, WhoWaitsForACallThatLeavesTakesOver) {
  engine_.HoldRequests();
  const auto first = Call({1});
  const RequestId id = engine_.WaitForHeld(1).front();
  const auto second = Call({1}, absl::Hours(1));
  const auto third = Call({1});
  first->Cancel();
  EXPECT_TRUE(absl::IsCancelled(first->AwaitEnd()));
  const RequestId next = engine_.WaitForHeld(1).front();
  EXPECT_NE(next, id);
  EXPECT_EQ(engine_.places(), 1);  // Of the third.
  Make(next);
  ASSERT_TRUE(second->AwaitEnd().ok()) << second->AwaitEnd();
  ASSERT_TRUE(third->AwaitEnd().ok()) << third->AwaitEnd();
  EXPECT_THAT(second->images(), ElementsAre(Pair(0, ImageOf(1))));
  EXPECT_THAT(third->images(), ElementsAre(Pair(0, ImageOf(1))));
  EXPECT_EQ(engine_.places(), 0);
}

TEST_F(CallLifetimeCacheTest, WhoWaitsForACallThatFailsTakesOver) {
  engine_.HoldRequests();
  const auto first = Call({1});
  const RequestId id = engine_.WaitForHeld(1).front();
  const auto second = Call({1});
  engine_.FinishHeld(id, absl::DeadlineExceededError("the deadline passed"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(first->AwaitEnd()));
  Make(engine_.WaitForHeld(1).front());
  ASSERT_TRUE(second->AwaitEnd().ok()) << second->AwaitEnd();
}

TEST_F(CallLifetimeCacheTest, WhoWaitsAndIsWaitedForLeavesBoth) {
  engine_.HoldRequests();
  const auto one = Call({1});
  const auto other = Call({2, 1});
  const auto third = Call({3, 2});
  const std::vector<RequestId> ids = engine_.WaitForHeld(3);
  other->Cancel();
  EXPECT_TRUE(absl::IsCancelled(other->AwaitEnd()));
  for (const RequestId id : engine_.WaitForHeld(3)) Make(id);
  EXPECT_TRUE(one->AwaitEnd().ok());
  EXPECT_TRUE(third->AwaitEnd().ok());
  EXPECT_THAT(third->images(), SizeIs(2));
  EXPECT_EQ(engine_.places(), 0);
}

TEST_F(CallLifetimeCacheTest, WhoTakesOverHasTheGuideStill) {
  guide_ = std::make_shared<const Picture>(Picture{{1, 1, 2}, {0, 255}});
  engine_.HoldRequests();
  const auto first = Call({1});
  engine_.WaitForHeld(1);
  const auto second = Call({1});
  first->Cancel();
  const RequestId next = engine_.WaitForHeld(1).front();
  EXPECT_EQ(engine_.HeldGuide(next), guide_);
  EXPECT_EQ(engine_.HeldRequest(next).guide->steps, 2);
  Make(next);
  EXPECT_TRUE(second->AwaitEnd().ok());
}

TEST_F(CallLifetimeCacheTest, AGuideIsHeldNoLongerThanItIsNeeded) {
  guide_ = std::make_shared<const Picture>(Picture{{1, 1, 2}, {0, 255}});
  engine_.HoldRequests();
  const auto first = Call({1});
  const RequestId id = engine_.WaitForHeld(1).front();
  EXPECT_EQ(guide_.use_count(), 2);  // Here and in the engine.
  const auto second = Call({1, 2});
  EXPECT_EQ(engine_.WaitForHeld(2).size(), 2u);
  EXPECT_EQ(guide_.use_count(), 4);  // The second call, and its part.
  second->Cancel();
  EXPECT_TRUE(absl::IsCancelled(second->AwaitEnd()));
  EXPECT_EQ(guide_.use_count(), 2);
  Make(id);
  EXPECT_TRUE(first->AwaitEnd().ok());
}

// Each place counts the guide.
TEST_F(CallLifetimeCacheTest, WhatACallWaitsForHasOnePlace) {
  guide_ = std::make_shared<const Picture>(Picture{{1, 1, 2}, {0, 255}});
  ASSERT_TRUE(Call({1})->AwaitEnd().ok());
  engine_.HoldRequests();
  const auto first = Call({2, 3, 4});
  const RequestId id = engine_.WaitForHeld(1).front();
  const auto second = Call({1, 2, 3, 4, 5});
  const RequestId own = engine_.WaitForHeld(2).back();
  EXPECT_EQ(engine_.places(), 1);
  EXPECT_EQ(engine_.place_images(), 3);
  Make(id);
  engine_.WaitForPlaces(0);
  EXPECT_EQ(engine_.place_images(), 0);
  Make(own);
  EXPECT_TRUE(first->AwaitEnd().ok());
  ASSERT_TRUE(second->AwaitEnd().ok()) << second->AwaitEnd();
  EXPECT_THAT(second->images(), SizeIs(5));
}

TEST_F(CallLifetimeCacheTest, EachPartOfATimedCallHasATimeOfItsOwnInTheQueue) {
  engine_.HoldRequests();
  const auto first = Call({1});
  engine_.WaitForHeld(1);
  timed_ = true;
  const auto second = Call({2, 1});
  const absl::Time between = RealMonotonicClock()->Now();
  first->Cancel();  // The second takes over.
  EXPECT_TRUE(absl::IsCancelled(first->AwaitEnd()));
  for (const RequestId id : engine_.WaitForHeld(2)) Make(id);
  ASSERT_TRUE(second->AwaitEnd().ok()) << second->AwaitEnd();
  const CallTimeline timeline =
      second->timer()->Finish(RpcMethod::kGenerate, between, between);
  std::vector<absl::Time> queued;
  for (const CallPart& part : timeline.parts) {
    if (part.kind == CallPart::Kind::kQueue) queued.push_back(part.start);
  }
  ASSERT_THAT(queued, SizeIs(2));
  EXPECT_LE(queued[0], between);
  EXPECT_GE(queued[1], between);
}

TEST_F(CallLifetimeCacheTest, WhoWaitsMayLeave) {
  engine_.HoldRequests();
  const auto first = Call({1});
  const RequestId id = engine_.WaitForHeld(1).front();
  const auto second = Call({1});
  second->Cancel();
  EXPECT_TRUE(absl::IsCancelled(second->AwaitEnd()));
  EXPECT_EQ(engine_.places(), 0);
  EXPECT_EQ(engine_.cancels(), 0);
  Make(id);
  EXPECT_TRUE(first->AwaitEnd().ok());
}

// No place in the engine looks after it, and ModelInfer has a deadline that
// gRPC does not know.
TEST_F(CallLifetimeCacheTest, WhoWaitsEndsWithItsDeadline) {
  engine_.HoldRequests();
  // Deadlines that are this near count as one (MayJoin).
  const auto first = Call({1}, absl::Milliseconds(100));
  const RequestId id = engine_.WaitForHeld(1).front();
  const auto second = Call({1}, absl::Milliseconds(20));
  EXPECT_TRUE(absl::IsDeadlineExceeded(second->AwaitEnd()));
  engine_.WaitForPlaces(
      0);  // By the timer's thread, once it has ended the call.
  Make(id);
  EXPECT_TRUE(first->AwaitEnd().ok());
}

TEST_F(CallLifetimeCacheTest, WhoTakesOverMayBeRefused) {
  engine_.HoldRequests();
  const auto first = Call({1});
  engine_.WaitForHeld(1);
  const auto second = Call({1});
  engine_.RefuseSubmissions(absl::UnavailableError("draining"));
  first->Cancel();
  EXPECT_TRUE(absl::IsUnavailable(second->AwaitEnd()));
  EXPECT_EQ(engine_.places(), 0);
}

TEST_F(CallLifetimeCacheTest, PreviewsAreMadeWhateverIsKept) {
  ASSERT_TRUE(Call({1})->AwaitEnd().ok());
  engine_.HoldRequests();
  const auto previewed = Call({1, 2}, absl::InfiniteDuration(), true);
  const RequestId id = engine_.WaitForHeld(1).front();
  EXPECT_EQ(engine_.HeldRequest(id).count, 2u);
  Make(id);
  ASSERT_TRUE(previewed->AwaitEnd().ok());
  // Its images are kept.
  const auto after = Call({2});
  ASSERT_TRUE(after->AwaitEnd().ok());
  EXPECT_THAT(after->images(), ElementsAre(Pair(0, ImageOf(2))));
}

// Threads that call, and leave at any moment; the engine answers at once.
TEST_F(CallLifetimeCacheTest, ManyCallsAtOnceAllEndWithTheirImages) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 300;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this, thread] {
      std::mt19937 random(thread);
      const auto below = [&random](int n) {
        return std::uniform_int_distribution<int>(0, n - 1)(random);
      };
      for (int i = 0; i < kCalls; ++i) {
        std::vector<uint64_t> seeds(1 + below(4));
        for (uint64_t& seed : seeds) seed = thread / 2 + i / 4 + below(4);
        const auto call = Call(seeds);
        const bool leaves = below(4) == 0;
        if (leaves) call->Cancel();
        const absl::Status end = call->AwaitEnd();
        if (!end.ok()) {
          EXPECT_TRUE(leaves && absl::IsCancelled(end)) << end;
          continue;
        }
        const std::map<uint32_t, std::string> images = call->images();
        ASSERT_EQ(images.size(), seeds.size());
        for (const auto& [position, bytes] : images) {
          EXPECT_EQ(bytes, ImageOf(seeds[position]));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine_.places(), 0);
}

}  // namespace
}  // namespace ddgan
