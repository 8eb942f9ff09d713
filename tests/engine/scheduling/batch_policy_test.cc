#include "engine/scheduling/batch_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kStart = absl::FromUnixSeconds(1000);

RunnableTrajectory Queued(size_t version, absl::Time accepted_at = kStart) {
  RunnableTrajectory row;
  row.version = version;
  row.accepted_at = accepted_at;
  return row;
}
RunnableTrajectory Started(size_t version, absl::Time accepted_at = kStart) {
  RunnableTrajectory row = Queued(version, accepted_at);
  row.started = true;
  return row;
}
RunnableTrajectory Of(size_t flow, RunnableTrajectory row) {
  row.flow = flow;
  return row;
}
RunnableTrajectory Due(absl::Time deadline, RunnableTrajectory row) {
  row.deadline = deadline;
  return row;
}

// One caller, of whom nothing is known yet.
Shares OneFlow() {
  Shares shares;
  shares.flows.resize(1);
  return shares;
}

BatchLimits Limits(int max_batch_size,
                   absl::Duration max_wait = absl::ZeroDuration()) {
  BatchLimits limits;
  limits.max_batch_size = max_batch_size;
  limits.max_wait = max_wait;
  return limits;
}

BatchDecision Decide(const std::vector<RunnableTrajectory>& runnable,
                     const std::vector<uint64_t>& last_turn,
                     const BatchLimits& limits, absl::Time now = kStart,
                     const Shares& shares = OneFlow()) {
  BatchDecision decision;
  DecideBatch(runnable, last_turn, shares, limits, now, &decision);
  return decision;
}

TEST(BatchPolicyTest, WithoutWorkThereIsNothingToWaitFor) {
  const BatchDecision decision = Decide({}, {}, Limits(4));
  EXPECT_THAT(decision.rows, IsEmpty());
  EXPECT_EQ(decision.wait_until, absl::InfiniteFuture());
}

TEST(BatchPolicyTest, NewcomersShareTheBatchOfWhatHasStarted) {
  EXPECT_THAT(Decide({Started(0), Queued(0), Queued(0)}, {0}, Limits(4)).rows,
              ElementsAre(0, 1, 2));
}

TEST(BatchPolicyTest, OldestGoFirstWhenThereIsNoRoomForAll) {
  EXPECT_THAT(
      Decide({Started(0), Started(0), Queued(0), Queued(0)}, {0}, Limits(3))
          .rows,
      ElementsAre(0, 1, 2));
}

TEST(BatchPolicyTest, ABatchHasOneVersion) {
  EXPECT_THAT(
      Decide({Queued(1), Queued(0), Queued(1), Queued(0)}, {7, 3}, Limits(8))
          .rows,
      ElementsAre(0, 2));
}

TEST(BatchPolicyTest, TheVersionWhoseTurnIsLongestAgoGoesFirst) {
  // Version 0 has a queue of older images, but had the last turn.
  EXPECT_THAT(
      Decide({Started(0), Queued(0), Queued(0), Queued(1)}, {9, 4}, Limits(2))
          .rows,
      ElementsAre(3));
}

TEST(BatchPolicyTest, EqualTurnsGoByTheOldestTrajectory) {
  EXPECT_THAT(Decide({Queued(1), Queued(0)}, {4, 4}, Limits(2)).rows,
              ElementsAre(0));
}

TEST(BatchPolicyTest, APartialBatchIsHeldBackUntilItsOldestHasWaitedMaxWait) {
  const BatchLimits limits = Limits(8, absl::Milliseconds(5));
  const std::vector<RunnableTrajectory> runnable = {
      Queued(0, kStart), Queued(0, kStart + absl::Milliseconds(3))};
  const BatchDecision early =
      Decide(runnable, {0}, limits, kStart + absl::Milliseconds(4));
  EXPECT_THAT(early.rows, IsEmpty());
  EXPECT_EQ(early.wait_until, kStart + absl::Milliseconds(5));
  EXPECT_THAT(Decide(runnable, {0}, limits, early.wait_until).rows,
              ElementsAre(0, 1));
}

TEST(BatchPolicyTest, AFullBatchIsNotHeldBack) {
  EXPECT_THAT(
      Decide({Queued(0), Queued(0)}, {0}, Limits(2, absl::Seconds(1))).rows,
      ElementsAre(0, 1));
}

TEST(BatchPolicyTest, WhatHasStartedIsNotHeldBack) {
  EXPECT_THAT(
      Decide({Started(0), Queued(0)}, {0}, Limits(8, absl::Seconds(1))).rows,
      ElementsAre(0, 1));
}

TEST(BatchPolicyTest, WhatIsUrgentIsNotHeldBack) {
  RunnableTrajectory urgent = Due(kStart + absl::Seconds(1), Queued(0));
  urgent.urgent = true;
  EXPECT_THAT(
      Decide({Queued(0), urgent}, {0}, Limits(8, absl::Seconds(1))).rows,
      ElementsAre(0, 1));
}

TEST(BatchPolicyTest, AVersionThatIsHeldBackLetsAnotherRun) {
  EXPECT_THAT(
      Decide({Queued(0), Started(1)}, {1, 2}, Limits(8, absl::Seconds(1))).rows,
      ElementsAre(1));
}

TEST(BatchPolicyTest, WaitsForTheVersionThatIsDueFirst) {
  const BatchLimits limits = Limits(8, absl::Milliseconds(10));
  const BatchDecision decision =
      Decide({Queued(1, kStart), Queued(0, kStart + absl::Milliseconds(1))},
             {0, 0}, limits, kStart + absl::Milliseconds(2));
  EXPECT_THAT(decision.rows, IsEmpty());
  EXPECT_EQ(decision.wait_until, kStart + absl::Milliseconds(10));
}

TEST(BatchPolicyTest, AnIdleLaneLeavesNewRowsToTheOthers) {
  BatchLimits limits = Limits(8);
  limits.max_new_rows = 2;
  EXPECT_THAT(
      Decide({Queued(0), Started(0), Queued(0), Queued(0)}, {0}, limits).rows,
      ElementsAre(0, 1, 2));
}

TEST(BatchPolicyTest, ARowThatFailedBeforeRunsByItself) {
  RunnableTrajectory lone = Queued(0);
  lone.alone = true;
  EXPECT_THAT(Decide({lone, Queued(0)}, {0}, Limits(8)).rows, ElementsAre(0));
  EXPECT_THAT(Decide({Queued(0), lone, Queued(0)}, {0}, Limits(8)).rows,
              ElementsAre(0, 2));
}

// Finish tags of `requests` in order.
std::vector<double> Finishes(const Shares& shares,
                             std::vector<RequestShare> requests) {
  std::vector<size_t> scratch;
  AssignFinishTags(shares, absl::MakeSpan(requests), &scratch);
  std::vector<double> finishes;
  for (const RequestShare& request : requests) {
    finishes.push_back(request.finish);
  }
  return finishes;
}

TEST(BatchPolicyTest, ACallersRequestsFinishOneAfterAnotherByDeadline) {
  Shares shares;
  shares.flows.resize(2);
  shares.flows[0].service = 100;
  shares.flows[1].weight = 2;
  EXPECT_THAT(Finishes(shares, {{0, kStart + absl::Seconds(9), 10},
                                {1, absl::InfiniteFuture(), 30},
                                {0, absl::InfiniteFuture(), 7},
                                {0, kStart + absl::Seconds(5), 4},
                                {1, absl::InfiniteFuture(), 2}}),
              ElementsAre(114, 15, 121, 104, 16));
}

TEST(BatchPolicyTest, TheEarliestFinishGoesFirst) {
  const auto finish = [](double tag, RunnableTrajectory row) {
    row.finish = tag;
    return row;
  };
  EXPECT_THAT(Decide({finish(9, Queued(0)), finish(5, Queued(0)),
                      finish(5, Queued(0)), finish(7, Queued(0))},
                     {0}, Limits(3))
                  .rows,
              ElementsAre(1, 2, 3));
}

TEST(BatchPolicyTest, AnUrgentRowOutranksEveryShare) {
  Shares shares;
  shares.flows.resize(2);
  shares.flows[1].request_class = RequestClass::kBatch;
  RunnableTrajectory urgent = Of(1, Due(kStart + absl::Seconds(1), Queued(1)));
  urgent.urgent = true;
  EXPECT_THAT(Decide({Of(0, Queued(0)), Of(0, Queued(1)), urgent}, {1, 9},
                     Limits(1), kStart, shares)
                  .rows,
              ElementsAre(2));
}

TEST(BatchPolicyTest, WhoComesBackIsOwedNothingAndStillOwesWhatItHadTooMuch) {
  EXPECT_EQ(ServiceOnReturn(5, 7), 7);
  EXPECT_EQ(ServiceOnReturn(8, 7), 8);
}

// Rows of the flows in order, `rows` of which run.
void Charge(const std::vector<size_t>& flow_of_row,
            const std::vector<size_t>& rows, Shares* shares) {
  std::vector<RunnableTrajectory> runnable;
  for (size_t flow : flow_of_row) runnable.push_back(Of(flow, Queued(0)));
  ChargeRows(runnable, rows, shares);
}

TEST(BatchPolicyTest, NobodyOwesForCapacityThatNobodyElseWanted) {
  Shares shares;
  shares.flows.resize(3);
  shares.flows[1].weight = 3;
  shares.flows[2].request_class = RequestClass::kBatch;
  shares.active_weight = {4, 1};
  Charge({0, 0, 0, 0, 1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7}, &shares);
  EXPECT_EQ(shares.flows[0].service, 4);
  EXPECT_EQ(shares.flows[1].service, 4);
  EXPECT_THAT(shares.class_service, ElementsAre(3, 3));
  EXPECT_THAT(shares.virtual_time, ElementsAre(4, 3));
}

TEST(BatchPolicyTest, WhoHasNothingLeftOverSavesUpNothing) {
  Shares shares;
  shares.flows.resize(3);
  shares.flows[2].request_class = RequestClass::kBatch;
  shares.active_weight = {2, 1};
  Charge({0, 0, 0, 1, 2, 2}, {0, 1, 3, 4}, &shares);
  // Caller 1 comes up to caller 0, who waits; neither class has enough.
  EXPECT_EQ(shares.flows[0].service, 2);
  EXPECT_EQ(shares.flows[1].service, 2);
  EXPECT_THAT(shares.class_service, ElementsAre(3.0 / 16, 1));
  // Now the interactive class has enough: it falls no further behind.
  Charge({0, 2, 2}, {0, 1}, &shares);
  EXPECT_THAT(shares.class_service, ElementsAre(2 - 13.0 / 16, 2));
}

// Callers of random weights, each with more work than it is given, in requests
// of random size: what they get is in proportion within 5%, whatever the batch
// size and the versions.
TEST(BatchPolicyTest, SharesAreFairWithinFivePercent) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    const size_t num_flows = pick(2, 8);
    const size_t num_versions = pick(1, 3);
    const BatchLimits limits = Limits(pick(1, 32));
    Shares shares;
    for (size_t f = 0; f < num_flows; ++f) {
      FlowShare flow;
      flow.weight = pick(1, 4);
      shares.active_weight[0] += flow.weight;
      shares.flows.push_back(flow);
    }
    struct Request {
      size_t version;
      int rows_left;
    };
    std::vector<std::deque<Request>> requests(num_flows);
    std::vector<uint64_t> last_turn(num_versions, 0);
    std::vector<int> rows(num_flows, 0);
    std::vector<size_t> scratch;
    BatchDecision decision;
    int total = 0;
    for (uint64_t turn = 1; total < 20000; ++turn) {
      std::vector<RequestShare> tags;
      std::vector<RunnableTrajectory> runnable;
      std::vector<Request*> of_row;
      for (size_t f = 0; f < num_flows; ++f) {
        // Enough of every version to fill a batch.
        while (requests[f].size() < 6 * num_versions) {
          requests[f].push_back(
              {requests[f].size() % num_versions, pick(1, 16) * 4});
        }
        for (const Request& request : requests[f]) {
          tags.push_back({f, absl::InfiniteFuture(),
                          static_cast<double>(request.rows_left), 0});
        }
      }
      AssignFinishTags(shares, absl::MakeSpan(tags), &scratch);
      size_t tag = 0;
      for (size_t f = 0; f < num_flows; ++f) {
        for (Request& request : requests[f]) {
          for (int image = 0; image < (request.rows_left + 3) / 4; ++image) {
            RunnableTrajectory row = Of(f, Queued(request.version));
            row.finish = tags[tag].finish;
            runnable.push_back(row);
            of_row.push_back(&request);
          }
          ++tag;
        }
      }
      DecideBatch(runnable, last_turn, shares, limits, kStart, &decision);
      ASSERT_FALSE(decision.rows.empty());
      ChargeRows(runnable, decision.rows, &shares);
      last_turn[runnable[decision.rows.front()].version] = turn;
      for (size_t row : decision.rows) {
        ++rows[runnable[row].flow];
        --of_row[row]->rows_left;
        ++total;
      }
      for (auto& of_flow : requests) {
        std::erase_if(of_flow,
                      [](const Request& r) { return r.rows_left <= 0; });
      }
    }
    for (size_t f = 0; f < num_flows; ++f) {
      const double fair =
          total * shares.flows[f].weight / shares.active_weight[0];
      EXPECT_NEAR(rows[f], fair, 0.05 * fair) << "flow " << f;
    }
    if (HasFailure()) return;
  }
}

TEST(BatchPolicyTest, TheBatchClassGetsOneRowInSeventeen) {
  Shares shares;
  shares.flows.resize(2);
  shares.flows[1].request_class = RequestClass::kBatch;
  int batch_rows = 0;
  for (int tick = 0; tick < 1700; ++tick) {
    const std::vector<RunnableTrajectory> runnable = {
        Of(0, Queued(0)), Of(0, Queued(0)), Of(1, Queued(0)), Of(1, Queued(0))};
    const BatchDecision decision =
        Decide(runnable, {0}, Limits(2), kStart, shares);
    ChargeRows(runnable, decision.rows, &shares);
    for (size_t row : decision.rows) batch_rows += runnable[row].flow == 1;
  }
  EXPECT_NEAR(batch_rows, 200, 2);
}

// One lane fed by random arrivals, deciding with DecideBatch alone.
class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    num_versions_ = Pick(1, 4);
    steps_ = Pick(1, 6);
    limits_ = Limits(Pick(1, 16), absl::Milliseconds(Pick(0, 3) * 5));
    last_turn_.assign(num_versions_, 0);
  }

  void Run() {
    const int arrivals = Pick(1, 120);
    int arrived = 0;
    while (arrived < arrivals || !trajectories_.empty()) {
      for (int n = Pick(0, 5); n > 0 && arrived < arrivals; --n, ++arrived) {
        Arrive();
      }
      Tick(/*more_to_come=*/arrived < arrivals);
      if (::testing::Test::HasFailure()) return;
    }
  }

 private:
  struct Trajectory {
    size_t version = 0;
    absl::Time accepted_at;
    int steps_left = 0;
    bool started = false;
    uint64_t last_tick = 0;  // By when it must be done, if nothing is held.
  };

  int Pick(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random_);
  }

  void Arrive() {
    Trajectory trajectory;
    trajectory.version = Pick(0, num_versions_ - 1);
    trajectory.accepted_at = now_;
    trajectory.steps_left = steps_;
    const int older = std::count_if(
        trajectories_.begin(), trajectories_.end(),
        [&](const Trajectory& t) { return t.version == trajectory.version; });
    if (older == 0) last_turn_[trajectory.version] = turn_;
    // In each turn of its version the oldest max_batch_size move on, and every
    // version gets a turn in num_versions_ ticks, whatever arrives later.
    const uint64_t turns = steps_ * (older / limits_.max_batch_size + 1);
    trajectory.last_tick = turn_ + num_versions_ * turns;
    trajectories_.push_back(trajectory);
  }

  void Tick(bool more_to_come) {
    std::vector<RunnableTrajectory> runnable;
    for (const Trajectory& t : trajectories_) {
      runnable.push_back(t.started ? Started(t.version, t.accepted_at)
                                   : Queued(t.version, t.accepted_at));
    }
    BatchDecision decision;
    DecideBatch(runnable, last_turn_, OneFlow(), limits_, now_, &decision);
    BatchDecision again;
    DecideBatch(runnable, last_turn_, OneFlow(), limits_, now_, &again);
    ASSERT_EQ(decision.rows, again.rows);

    if (decision.rows.empty()) {
      ASSERT_GT(decision.wait_until, now_);
      // Held back, but never for longer than max_wait.
      if (!trajectories_.empty()) {
        ASSERT_LE(decision.wait_until, now_ + limits_.max_wait);
      }
      now_ = more_to_come ? now_ + absl::Milliseconds(Pick(0, 3))
                          : decision.wait_until;
      return;
    }
    ASSERT_LE(decision.rows.size(),
              static_cast<size_t>(limits_.max_batch_size));
    ASSERT_TRUE(std::is_sorted(decision.rows.begin(), decision.rows.end()));
    const size_t version = trajectories_[decision.rows.front()].version;
    last_turn_[version] = ++turn_;
    for (size_t row : decision.rows) {
      ASSERT_EQ(trajectories_[row].version, version);
      trajectories_[row].started = true;
      --trajectories_[row].steps_left;
    }
    now_ += absl::Milliseconds(Pick(0, 3));

    std::map<size_t, int> between_steps;
    std::vector<Trajectory> rest;
    for (const Trajectory& t : trajectories_) {
      if (limits_.max_wait == absl::ZeroDuration()) {
        ASSERT_LE(turn_, t.last_tick);
      }
      if (t.steps_left == 0) continue;
      if (t.started) ++between_steps[t.version];
      rest.push_back(t);
    }
    for (const auto& [v, count] : between_steps) {
      ASSERT_LE(count, limits_.max_batch_size);
    }
    trajectories_ = std::move(rest);
  }

  std::mt19937_64 random_;
  int num_versions_;
  int steps_;
  BatchLimits limits_;
  absl::Time now_ = kStart;
  uint64_t turn_ = 0;
  std::vector<uint64_t> last_turn_;
  std::vector<Trajectory> trajectories_;  // Oldest first.
};

TEST(BatchPolicyTest, InThousandsOfRandomQueuesNobodyStarves) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    Simulation(seed).Run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace ddgan
