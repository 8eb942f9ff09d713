#include "server/connections/request_gate.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Writes down what becomes of requests, in order: "name", "name refused CODE",
// "name given up".
class Journal {
 public:
  void Add(std::string line) {
    absl::MutexLock lock(&mu_);
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> Take() {
    absl::MutexLock lock(&mu_);
    return std::exchange(lines_, {});
  }
  // Blocks until there are so many.
  std::vector<std::string> Await(size_t count) {
    absl::MutexLock lock(&mu_);
    auto enough = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return lines_.size() >= count;
    };
    mu_.Await(absl::Condition(&enough));
    return std::exchange(lines_, {});
  }

 private:
  absl::Mutex mu_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mu_);
};

class FakeRequest final : public RequestGate::Request {
 public:
  FakeRequest(std::string name, Journal* journal)
      : name_(std::move(name)), journal_(journal) {}
  void Receive() override { journal_->Add(name_); }
  void Refuse(const absl::Status& status) override {
    journal_->Add(absl::StrCat(name_, " refused ",
                               absl::StatusCodeToString(status.code())));
  }
  void GiveUp(const absl::Status& status) override {
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    journal_->Add(absl::StrCat(name_, " given up"));
  }

 private:
  const std::string name_;
  Journal* const journal_;
};

class CountingObserver final : public ConnectionObserver {
 public:
  void OnRequestNotReceived(RequestLoss reason) override {
    absl::MutexLock lock(&mu_);
    ++(reason == RequestLoss::kNoRoom ? no_room_ : timeout_);
  }
  int no_room() {
    absl::MutexLock lock(&mu_);
    return no_room_;
  }
  int timeout() {
    absl::MutexLock lock(&mu_);
    return timeout_;
  }

 private:
  absl::Mutex mu_;
  int no_room_ ABSL_GUARDED_BY(mu_) = 0;
  int timeout_ ABSL_GUARDED_BY(mu_) = 0;
};

class RequestGateTest : public ::testing::Test {
 protected:
  static constexpr absl::Duration kTimeout = absl::Seconds(30);

  RequestGate MakeGate(int arriving) {
    return {{.arriving = arriving, .timeout = kTimeout}, &timer_, &observer_};
  }

  std::shared_ptr<FakeRequest> Enter(RequestGate* gate,
                                     const std::string& group,
                                     const std::string& name) {
    auto request = std::make_shared<FakeRequest>(name, &journal_);
    gate->Enter(group, request);
    return request;
  }

  ManualClock clock_;
  DeadlineTimer timer_{&clock_};
  CountingObserver observer_;
  Journal journal_;
};

TEST_F(RequestGateTest, AGroupGetsHalfOfWhatIsLeftAndOthersFindAPlace) {
  RequestGate gate = MakeGate(8);
  std::vector<std::shared_ptr<FakeRequest>> flood;
  for (int i = 0; i < 10; ++i) flood.push_back(Enter(&gate, "flood", "f"));
  // 4 of 8: a fifth would be more than is left.
  EXPECT_EQ(journal_.Take().size(), 4u);
  Enter(&gate, "good", "g1");
  Enter(&gate, "good", "g2");
  EXPECT_THAT(journal_.Take(), ElementsAre("g1", "g2"));
  // A place that the flood leaves is the others' first.
  Enter(&gate, "good", "g3");
  EXPECT_THAT(journal_.Take(), IsEmpty());
  gate.Leave(*flood[0]);
  EXPECT_THAT(journal_.Take(), ElementsAre("g3"));
}

TEST_F(RequestGateTest, WithinAGroupTheOldestIsNext) {
  RequestGate gate = MakeGate(2);
  const auto first = Enter(&gate, "a", "1");
  const auto second = Enter(&gate, "a", "2");
  Enter(&gate, "a", "3");
  EXPECT_THAT(journal_.Take(), ElementsAre("1"));
  gate.Leave(*first);
  gate.Leave(*first);  // Of no effect.
  EXPECT_THAT(journal_.Take(), ElementsAre("2"));
  gate.Leave(*second);
  EXPECT_THAT(journal_.Take(), ElementsAre("3"));
}

TEST_F(RequestGateTest, WhicheverGroupReceivesLeastIsNext) {
  RequestGate gate = MakeGate(3);
  const auto first = Enter(&gate, "a", "a1");
  Enter(&gate, "b", "b1");
  Enter(&gate, "b", "b2");
  Enter(&gate, "a", "a2");
  EXPECT_THAT(journal_.Take(), ElementsAre("a1", "b1"));
  gate.Leave(*first);
  // Though b2 has waited for longer, b receives one already.
  EXPECT_THAT(journal_.Take(), ElementsAre("a2"));
}

TEST_F(RequestGateTest, OneIsEnoughForEverybodyInTurn) {
  RequestGate gate = MakeGate(1);
  const auto first = Enter(&gate, "a", "a1");
  const auto second = Enter(&gate, "a", "a2");
  Enter(&gate, "b", "b1");
  gate.Leave(*first);
  gate.Leave(*second);
  EXPECT_THAT(journal_.Take(), ElementsAre("a1", "a2", "b1"));
}

TEST_F(RequestGateTest, RefusesWhoeverFindsNoRoomToWait) {
  RequestGate gate = MakeGate(1);
  const auto first = Enter(&gate, "a", "first");
  EXPECT_THAT(journal_.Take(), ElementsAre("first"));
  // Half of 16 for one group.
  for (int i = 0; i < 8; ++i) Enter(&gate, "a", "waits");
  EXPECT_THAT(journal_.Take(), IsEmpty());
  Enter(&gate, "a", "more");
  EXPECT_THAT(journal_.Take(), ElementsAre("more refused UNAVAILABLE"));
  EXPECT_EQ(observer_.no_room(), 1);
  Enter(&gate, "b", "another");
  EXPECT_THAT(journal_.Take(), IsEmpty());
}

TEST_F(RequestGateTest, EndsWhatDoesNotComeInTime) {
  RequestGate gate = MakeGate(1);
  const auto slow = Enter(&gate, "a", "slow");
  Enter(&gate, "a", "waits");
  clock_.AwaitWaiter();
  clock_.Advance(kTimeout);
  EXPECT_THAT(
      journal_.Await(3),
      ElementsAre("slow", "slow given up", "waits refused DEADLINE_EXCEEDED"));
  EXPECT_EQ(observer_.timeout(), 2);
  // It holds its place until it is gone.
  Enter(&gate, "b", "next");
  EXPECT_THAT(journal_.Take(), IsEmpty());
  gate.Leave(*slow);
  EXPECT_THAT(journal_.Take(), ElementsAre("next"));
}

// The first time may have come before Receive, when there is nothing to end.
TEST_F(RequestGateTest, GivesUpAgainWhoeverStays) {
  RequestGate gate = MakeGate(1);
  const auto slow = Enter(&gate, "a", "slow");
  clock_.AwaitWaiter();
  clock_.Advance(kTimeout);
  EXPECT_THAT(journal_.Await(2), ElementsAre("slow", "slow given up"));
  // At the same time as the next, and after it.
  absl::Notification over;
  timer_.Add(kTimeout, [&over] { over.Notify(); });
  clock_.Advance(kTimeout);
  over.WaitForNotification();
  EXPECT_THAT(journal_.Take(), ElementsAre("slow given up"));
  EXPECT_EQ(observer_.timeout(), 1);
  gate.Leave(*slow);
}

TEST_F(RequestGateTest, WhoeverHasLeftIsNotGivenUp) {
  RequestGate gate = MakeGate(1);
  gate.Leave(*Enter(&gate, "a", "quick"));
  const auto later = Enter(&gate, "a", "later");
  clock_.AwaitWaiter();
  clock_.Advance(kTimeout);
  EXPECT_THAT(journal_.Await(3),
              ElementsAre("quick", "later", "later given up"));
  gate.Leave(*later);
}

TEST_F(RequestGateTest, OnceClosedNobodyWaits) {
  RequestGate gate = MakeGate(1);
  const auto first = Enter(&gate, "a", "first");
  Enter(&gate, "a", "waits");
  gate.Close();
  Enter(&gate, "b", "late");
  gate.Leave(*first);
  EXPECT_THAT(journal_.Take(), ElementsAre("first", "waits refused UNAVAILABLE",
                                           "late refused UNAVAILABLE"));
}

}  // namespace
}  // namespace ddgan
