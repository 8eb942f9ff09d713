#include "server/calls/guide_decoder.h"

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

constexpr GuideRoom kRoom = {.images = 12, .bytes = 1200};

// A decoder whose only thread is held up until Resume.
class GuideDecoderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Run("holder", [this] { resumed_.WaitForNotification(); });
  }
  void TearDown() override {
    if (!resumed_.HasBeenNotified()) Resume();
  }

  GuideDecoder::Id Run(const std::string& caller,
                       absl::AnyInvocable<void()> work) {
    return RunTask(caller,
                   [work = std::move(work)](const absl::Status& turn) mutable {
                     EXPECT_TRUE(turn.ok()) << turn;
                     work();
                   });
  }
  GuideDecoder::Id RunTask(const std::string& caller, GuideDecoder::Task task) {
    std::optional<GuideDecoder::Room> room =
        decoder_->Reserve(caller, {.images = 1, .bytes = 1});
    EXPECT_TRUE(room.has_value());
    return decoder_->Run(*std::move(room), std::move(task));
  }
  GuideDecoder::Id Note(const std::string& caller) {
    return Run(caller, [this, caller] { ran_.push_back(caller); });
  }

  void Resume() { resumed_.Notify(); }
  // What ran, once all has.
  const std::vector<std::string>& Finish() {
    Resume();
    decoder_.reset();
    return ran_;
  }

  absl::Notification resumed_;
  std::vector<std::string> ran_;  // By the decoder's thread.
  std::unique_ptr<GuideDecoder> decoder_ =
      std::make_unique<GuideDecoder>(1, kRoom);
};

TEST_F(GuideDecoderTest, CallersTakeTurns) {
  Note("flood");
  Note("flood");
  Note("flood");
  Note("good");
  EXPECT_THAT(Finish(), ElementsAre("flood", "good", "flood", "flood"));
}

TEST_F(GuideDecoderTest, WhatIsWithdrawnIsGoneAtOnceAndNeverRuns) {
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> kept = held;
  Note("first");
  const GuideDecoder::Id id =
      Run("second", [this, held = std::move(held)] { ran_.push_back("no"); });
  EXPECT_FALSE(kept.expired());
  EXPECT_TRUE(decoder_->Withdraw(id));
  EXPECT_TRUE(kept.expired());
  EXPECT_FALSE(decoder_->Withdraw(id));
  EXPECT_THAT(Finish(), ElementsAre("first"));
}

TEST_F(GuideDecoderTest, WhatHasBegunCannotBeWithdrawn) {
  absl::Notification begun;
  absl::Notification go_on;
  const GuideDecoder::Id id = Run("first", [&] {
    begun.Notify();
    go_on.WaitForNotification();
  });
  Resume();
  begun.WaitForNotification();
  EXPECT_FALSE(decoder_->Withdraw(id));
  go_on.Notify();
  decoder_.reset();  // Waits for the task.
}

TEST_F(GuideDecoderTest, RoomIsBookedUntilTheTaskHasRunOrIsWithdrawn) {
  std::optional<GuideDecoder::Room> room =
      decoder_->Reserve("first", {.images = 1, .bytes = 599});
  ASSERT_TRUE(room.has_value());
  EXPECT_FALSE(
      decoder_->Reserve("first", {.images = 1, .bytes = 100}).has_value());
  const GuideDecoder::Id id =
      decoder_->Run(*std::move(room), [](const absl::Status&) {});
  EXPECT_FALSE(
      decoder_->Reserve("first", {.images = 1, .bytes = 100}).has_value());
  EXPECT_TRUE(decoder_->Withdraw(id));
  room = decoder_->Reserve("first", {.images = 1, .bytes = 599});
  ASSERT_TRUE(room.has_value());
  room.reset();
  EXPECT_TRUE(
      decoder_->Reserve("first", {.images = 1, .bytes = 599}).has_value());

  absl::Notification ran;
  decoder_->Run(*decoder_->Reserve("first", {.images = 1, .bytes = 599}),
                [](const absl::Status&) {});
  Run("second", [&ran] { ran.Notify(); });
  Resume();
  ran.WaitForNotification();  // On the same thread, so the first is over.
  EXPECT_TRUE(
      decoder_->Reserve("first", {.images = 1, .bytes = 599}).has_value());
}

TEST_F(GuideDecoderTest, WhatWaitsWhenItClosesIsToldWhyAndSoIsWhatComesLater) {
  absl::Notification begun;
  absl::Notification go_on;
  Resume();
  Run("first", [&] {
    begun.Notify();
    go_on.WaitForNotification();
    ran_.push_back("first");
  });
  begun.WaitForNotification();
  std::vector<absl::Status> told;
  const auto note = [&told](const absl::Status& turn) { told.push_back(turn); };
  const GuideDecoder::Id waiting = RunTask("second", note);
  std::optional<GuideDecoder::Room> late =
      decoder_->Reserve("third", {.images = 1, .bytes = 1});
  const absl::Status reason = absl::UnavailableError("over");
  decoder_->Close(reason);
  EXPECT_THAT(told, ElementsAre(reason));
  EXPECT_FALSE(decoder_->Withdraw(waiting));
  decoder_->Run(*std::move(late), note);
  EXPECT_THAT(told, ElementsAre(reason, reason));
  go_on.Notify();
  decoder_.reset();  // What had begun goes on to its end.
  EXPECT_THAT(ran_, ElementsAre("first"));
  EXPECT_THAT(told, ElementsAre(reason, reason));
}

TEST_F(GuideDecoderTest, ItsThreadYieldsToOthers) {
  int niceness = 0;
  Run("first", [&niceness] { niceness = getpriority(PRIO_PROCESS, 0); });
  Finish();
  // Nobody yields more than 19.
  EXPECT_GE(niceness, std::min(getpriority(PRIO_PROCESS, 0) + 1, 19));
}

}  // namespace
}  // namespace ddgan
