#include "engine/requests/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "engine/api/retry_hint.h"
#include "tests/fakes/scripted_version_source.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1000);
constexpr absl::Duration kTick = absl::Milliseconds(10);

EngineLoad IdleEngine() {
  EngineLoad load;
  load.outage_limit = absl::Seconds(10);
  load.capacity = {2, 8};
  load.max_images = 100;
  load.max_bytes = 1000;
  return load;
}

// A version whose steps take kTick, whatever the batch.
std::shared_ptr<const ServableVersion> Measured() {
  auto version = SharedServableVersion("digits", 1, /*num_timesteps=*/4);
  for (int rows = 1; rows <= 256; rows *= 2) {
    version->costs->Record(rows, kTick);
  }
  return version;
}

Claim Asks(int images, absl::Time deadline = absl::InfiniteFuture()) {
  return {.version = Measured(),
          .images = images,
          .first_step = 3,
          .bytes = 10 * images,
          .image_bytes = 10,
          .deadline = deadline,
          .steps_deadline = StepsDeadline(kNow, deadline)};
}

TEST(AdmissionTest, AClaimCountsImagesResultsAndTheUnpackedGuide) {
  const auto version = SharedServableVersion("digits", 1, /*num_timesteps=*/4);
  GenerationRequest request;
  request.count = 2;
  const Claim plain = ClaimOf(request, version, kNow);
  EXPECT_EQ(plain.images, 2);
  EXPECT_EQ(plain.bytes, 2 * 64 * 9);
  EXPECT_EQ(plain.steps(), 8);
  EXPECT_EQ(plain.steps_deadline, absl::InfiniteFuture());
  request.pixel_format = PixelFormat::kFloat32;
  request.previews = true;
  request.guide = Guide{2, GuideFit::kResize, {1, 1000, 1000}};
  const Claim guided = ClaimOf(request, version, kNow);
  EXPECT_EQ(guided.bytes, 2 * 64 * 16 + 64 * 4 + 1'000'000);
  EXPECT_EQ(guided.first_step, 1);
}

TEST(AdmissionTest, APartOfAClaimTakesItsImagesAndTheGuide) {
  const auto version = SharedServableVersion("digits", 1, /*num_timesteps=*/4);
  GenerationRequest request;
  request.count = 3;
  request.deadline = kNow + absl::Seconds(1);
  request.guide = Guide{2, GuideFit::kResize, {1, 1000, 1000}};
  Claim left = ClaimOf(request, version, kNow);
  const Claim taken = TakeImages(2, &left);
  request.count = 2;
  EXPECT_EQ(taken.images, 2);
  EXPECT_EQ(taken.bytes, ClaimOf(request, version, kNow).bytes);
  EXPECT_EQ(taken.deadline, request.deadline);
  EXPECT_EQ(taken.steps(), 4);
  request.count = 1;
  EXPECT_EQ(left.images, 1);
  EXPECT_EQ(left.bytes, ClaimOf(request, version, kNow).bytes);
  EXPECT_EQ(left.steps(), 2);
}

TEST(AdmissionTest, AClosedEngineSaysWhy) {
  EngineLoad load = IdleEngine();
  EXPECT_FALSE(CheckOpen(load, absl::InfiniteFuture(), kNow));
  EXPECT_EQ(CheckOpen(load, kNow, kNow)->reason, RefusalReason::kDeadline);
  load.all_down_since = kNow - load.outage_limit;
  const auto outage = CheckOpen(load, absl::InfiniteFuture(), kNow);
  EXPECT_EQ(outage->reason, RefusalReason::kNoDevice);
  EXPECT_EQ(outage->status,
            absl::UnavailableError("every device has been out for 10s"));
  EXPECT_FALSE(
      CheckOpen(load, absl::InfiniteFuture(), kNow - absl::Milliseconds(1)));
  load.draining = true;
  EXPECT_EQ(CheckOpen(load, kNow, kNow)->reason, RefusalReason::kDraining);
}

TEST(AdmissionTest, RoomIsCountedInImagesAndInBytes) {
  EngineLoad load = IdleEngine();
  load.images = 60;
  load.bytes = 600;
  EXPECT_FALSE(CheckRoom(load, Asks(40)));
  EXPECT_THAT(std::string(CheckRoom(load, Asks(41))->status.message()),
              HasSubstr("no room for 41 images: 60 of at most 100"));
  load.images = 0;
  const auto refusal = CheckRoom(load, Asks(41));
  EXPECT_EQ(refusal->reason, RefusalReason::kQueueFull);
  EXPECT_THAT(
      std::string(refusal->status.message()),
      HasSubstr("no room for 410 bytes of images: 600 of at most 1000"));
  // 41 images of 4 ticks each, 8 at a time.
  EXPECT_EQ(RetryAfter(refusal->status), kTick * 4 * 41 / 8);
}

TEST(AdmissionTest, OneAccountLeavesAsMuchRoomAsItHas) {
  EngineLoad load = IdleEngine();
  // The first request of an account is taken, whatever its size.
  load.images = 60;
  load.bytes = 600;
  EXPECT_FALSE(CheckRoom(load, Asks(40)));
  load.own = {.images = 10, .bytes = 100};
  EXPECT_FALSE(CheckRoom(load, Asks(15)));  // 25 of its own, 25 for others.
  const auto refusal = CheckRoom(load, Asks(16));
  EXPECT_EQ(refusal->reason, RefusalReason::kQueueFull);
  EXPECT_THAT(std::string(refusal->status.message()),
              HasSubstr("no room for 16 more images of this caller: 10 of its "
                        "images are unfinished, 40 of 100 places are free"));
  EXPECT_TRUE(RetryAfter(refusal->status).has_value());
  // Bytes are shared alike.
  load.max_images = 1000;
  EXPECT_FALSE(CheckRoom(load, Asks(15)));
  EXPECT_EQ(CheckRoom(load, Asks(16))->reason, RefusalReason::kQueueFull);
}

TEST(AdmissionTest, WhatNeverFitsIsNotToldToComeBack) {
  for (const int images : {101, 100}) {
    EngineLoad load = IdleEngine();
    if (images == 100) load.max_bytes = 999;
    const auto refusal = CheckRoom(load, Asks(images));
    ASSERT_TRUE(refusal.has_value());
    EXPECT_EQ(refusal->reason, RefusalReason::kTooLarge);
    EXPECT_TRUE(absl::IsInvalidArgument(refusal->status));
    EXPECT_THAT(
        std::string(refusal->status.message()),
        HasSubstr(absl::StrCat("count: ", images, " is out of range [1, ",
                               images == 101 ? 100 : 99, "]")));
    EXPECT_THAT(std::string(refusal->status.message()),
                HasSubstr("this server holds at most 100 images and "));
    EXPECT_EQ(RetryAfter(refusal->status), std::nullopt);
  }
}

TEST(AdmissionTest, TheHintWhenToComeBackIsNeitherAtOnceNorNever) {
  EngineLoad load = IdleEngine();
  load.max_images = 100'000;
  load.max_bytes = int64_t{1} << 40;
  load.images = load.max_images;
  const auto hint = [&load](int images) {
    return RetryAfter(CheckRoom(load, Asks(images))->status);
  };
  EXPECT_EQ(hint(1), absl::Milliseconds(50));
  EXPECT_EQ(hint(100'000), absl::Seconds(30));
  Claim unmeasured = Asks(1);
  unmeasured.version = SharedServableVersion("digits", 2);
  EXPECT_EQ(RetryAfter(CheckRoom(load, unmeasured)->status),
            absl::Milliseconds(500));
}

TEST(AdmissionTest, WithoutAMeasuredCostTheDeadlineIsTakenOnTrust) {
  Claim claim = Asks(1, kNow + absl::Milliseconds(1));
  claim.version = SharedServableVersion("digits", 2);
  std::vector<DeadlineWork> work;
  EXPECT_FALSE(
      CheckDeadline(IdleEngine(), claim, absl::ZeroDuration(), kNow, &work));
}

// The steps of one image follow one another, however many lanes there are: 4
// ticks with a margin of a half, after the tick under way, and a tenth of the
// time for what follows the steps.
TEST(AdmissionTest, AnImagesOwnStepsCannotBeShared) {
  EngineLoad load = IdleEngine();
  load.images = 7;
  const auto refused = [&](int milliseconds) {
    std::vector<DeadlineWork> work;
    const Claim claim = Asks(1, kNow + absl::Milliseconds(milliseconds));
    return CheckDeadline(load, claim, kTick, kNow, &work);
  };
  EXPECT_FALSE(refused(78));
  ASSERT_TRUE(refused(77));
  EXPECT_EQ(refused(77)->reason, RefusalReason::kUnmeetableDeadline);
  EXPECT_THAT(std::string(refused(77)->status.message()),
              HasSubstr("1 images take about 50ms"));
}

TEST(AdmissionTest, ANewcomerMustNotSpoilWhatWasPromised) {
  EngineLoad load = IdleEngine();
  load.images = 16;
  const std::vector<DeadlineWork> promised = {
      {kNow + absl::Milliseconds(150), absl::Milliseconds(80), {}}};
  const auto refused = [&](int images, int milliseconds) {
    std::vector<DeadlineWork> work = promised;
    const Claim claim = Asks(images, kNow + absl::Milliseconds(milliseconds));
    return CheckDeadline(load, claim, kTick, kNow, &work).has_value();
  };
  EXPECT_FALSE(refused(1, 140));  // 5 ms of work before the other.
  EXPECT_TRUE(refused(4, 140));   // 20 ms are too many.
  EXPECT_FALSE(refused(4, 400));  // Behind it they do no harm.
}

TEST(AdmissionTest, TheExpectedStartCountsWholeBatches) {
  const auto version = Measured();
  EXPECT_EQ(ExpectedStart(*version, {2, 8}, 0), absl::ZeroDuration());
  EXPECT_EQ(ExpectedStart(*version, {2, 8}, 7), kTick);
  EXPECT_EQ(ExpectedStart(*version, {2, 8}, 8), 4 * kTick);
  EXPECT_EQ(ExpectedStart(*version, {2, 8}, 17), 8 * kTick);
  EXPECT_EQ(ExpectedStart(*SharedServableVersion("new", 1), {2, 8}, 0),
            std::nullopt);
}

TEST(AdmissionTest, LanesShareTheRowsOfATick) {
  const auto version = SharedServableVersion("digits", 1);
  version->costs->Record(1, absl::Milliseconds(1));
  version->costs->Record(4, absl::Milliseconds(3));
  EXPECT_EQ(TickTime(*version, {2, 8}, 2), absl::Milliseconds(1));
  EXPECT_EQ(TickTime(*version, {2, 8}, 7), absl::Milliseconds(3));
  EXPECT_EQ(TickTime(*version, {2, 8}, 100), absl::Milliseconds(3));
}

}  // namespace
}  // namespace ddgan
