#include "client/playground/event_outbox.h"

#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace ddgan::playground {
namespace {

using Taken = std::pair<std::string, bool>;

TEST(EventOutboxTest, GivesWhatWasWrittenAndThenTheEnd) {
  int wakes = 0;
  EventOutbox outbox([&] { ++wakes; });
  EXPECT_EQ(outbox.Take(), Taken("", false));
  EXPECT_TRUE(outbox.Write("a"));
  EXPECT_TRUE(outbox.Write("b"));
  EXPECT_FALSE(outbox.ended());
  outbox.End();
  EXPECT_TRUE(outbox.ended());
  EXPECT_EQ(wakes, 3);
  EXPECT_FALSE(outbox.Write("c"));
  EXPECT_EQ(outbox.Take(), Taken("ab", false));
  EXPECT_EQ(outbox.Take(), Taken("", true));
}

TEST(EventOutboxTest, NobodyIsWokenForAReaderWhoIsGone) {
  int wakes = 0;
  EventOutbox outbox([&] { ++wakes; });
  outbox.SetGone();
  EXPECT_FALSE(outbox.Write("a"));
  EXPECT_FALSE(outbox.AwaitRoom());
  outbox.End();
  EXPECT_EQ(wakes, 0);
}

TEST(EventOutboxTest, TellsOnceThatTheReaderIsGone) {
  int calls = 0;
  EventOutbox outbox([] {});
  outbox.OnGone([&] { ++calls; });
  EXPECT_EQ(calls, 0);
  outbox.SetGone();
  outbox.SetGone();
  EXPECT_EQ(calls, 1);
  outbox.OnGone([&] { ++calls; });
  EXPECT_EQ(calls, 2);
}

TEST(EventOutboxTest, AReaderMayLeaveAfterTheEnd) {
  int calls = 0;
  EventOutbox outbox([] {});
  outbox.OnGone([&] { ++calls; });
  outbox.End();
  outbox.SetGone();
  EXPECT_EQ(calls, 0);
}

// Runs AwaitRoom on a thread while more waits than may.
class EventOutboxWaitTest : public ::testing::Test {
 protected:
  EventOutboxWaitTest() : outbox_([] {}) {
    EXPECT_TRUE(outbox_.AwaitRoom());
    outbox_.Write(std::string(EventWriter::kMaxWaitingBytes, 'x'));
    EXPECT_TRUE(outbox_.AwaitRoom());
    outbox_.Write("x");
    thread_ = std::thread([this] {
      has_room_ = outbox_.AwaitRoom();
      returned_.Notify();
    });
    EXPECT_FALSE(
        returned_.WaitForNotificationWithTimeout(absl::Milliseconds(20)));
  }
  ~EventOutboxWaitTest() override { thread_.join(); }

  EventOutbox outbox_;
  absl::Notification returned_;
  bool has_room_ = false;
  std::thread thread_;
};

TEST_F(EventOutboxWaitTest, HoldsTheWriterUntilTheConnectionHasTaken) {
  outbox_.Take();
  returned_.WaitForNotification();
  EXPECT_TRUE(has_room_);
}

TEST_F(EventOutboxWaitTest, LetsTheWriterGoWhenTheReaderIsGone) {
  outbox_.SetGone();
  returned_.WaitForNotification();
  EXPECT_FALSE(has_room_);
}

}  // namespace
}  // namespace ddgan::playground
