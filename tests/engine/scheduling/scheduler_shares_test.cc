// What callers and classes get of the devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/engine/scheduling/batch_scheduler_fixture.h"

namespace ddgan {
namespace {

using ::testing::SizeIs;

TEST_F(BatchSchedulerTest, ASmallRequestDoesNotWaitForALargeOneOfSomebodyElse) {
  Scheduler(/*max_batch_size=*/2);
  GenerationRequest request;
  request.count = 40;
  request.caller = "large";
  const auto large = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, large).ok());
  for (int tick = 0; tick < 5; ++tick) Tick();
  request.count = 1;
  request.caller = "small";
  const auto small = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, small).ok());
  for (int step = 0; step < 4; ++step) Tick();
  EXPECT_TRUE(small->finished());
}

// Each new caller alone would go first; together they may not hold up the large
// request beyond its share.
TEST_F(BatchSchedulerTest, AStreamOfNewCallersDoesNotStarveALargeRequest) {
  Scheduler(/*max_batch_size=*/2);
  GenerationRequest request;
  request.count = 32;
  request.caller = "large";
  const auto large = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, large).ok());
  int ticks = 0;
  for (; ticks < 2000 && !large->finished(); ++ticks) {
    // As much as the device can do, from somebody new each time.
    if (ticks % 2 == 0) {
      GenerationRequest other;
      other.caller = absl::StrCat("new ", ticks);
      const auto sink = std::make_shared<RecordingSink>();
      (void)SubmitAtOnce(*scheduler_, version_, other, sink);
    }
    Tick();
  }
  EXPECT_TRUE(large->finished());
  EXPECT_GT(ticks, 64);  // The others had something, too.
  EXPECT_LT(ticks, 1000);
}

TEST_F(BatchSchedulerTest, CallersShareTheDevicesByTheirWeights) {
  BatchScheduler::Options options;
  options.lane_limits[0].max_batch_size = 3;
  options.max_queued_images = 8000;
  options.caller_weights = {{"gold", 3}};
  Scheduler(options);
  // One had the device for itself for a while, which it owes nobody.
  SubmitMany("bronze", 200);
  for (int tick = 0; tick < 400; ++tick) Tick();
  const int head_start = ImagesOf("bronze");
  SubmitMany("gold", 200);
  for (int tick = 0; tick < 2000; ++tick) Tick();
  const double bronze = ImagesOf("bronze") - head_start;
  EXPECT_NEAR(ImagesOf("gold") / bronze, 3, 0.15);
}

TEST_F(BatchSchedulerTest, AClassThatHadTheDeviceToItselfIsNotHeldBackForIt) {
  Scheduler();
  const auto submit = [&](RequestClass request_class) {
    GenerationRequest request;
    request.count = 32;
    request.seed = static_cast<uint64_t>(request_class);
    request.request_class = request_class;
    const auto sink = std::make_shared<RecordingSink>();
    ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  };
  // Much work of one class, and nothing after it.
  for (int i = 0; i < 50; ++i) {
    submit(RequestClass::kInteractive);
    while (!Tick().empty()) {
    }
  }
  submit(RequestClass::kBatch);
  submit(RequestClass::kInteractive);
  int batch_rows = 0;
  for (int tick = 0; tick < 12; ++tick) {
    const LaneBatch batch = Next();
    ASSERT_THAT(batch.rows, SizeIs(8));
    for (const StepRow& row : batch.rows) {
      batch_rows += row.seed == static_cast<uint64_t>(RequestClass::kBatch);
    }
    Succeed(batch);
  }
  EXPECT_NEAR(batch_rows, 12 * 8 / 17.0, 1);
}

// Callers of both classes come and go at random. Whatever they had before: as
// long as all of them have work, each gets its share.
TEST_F(BatchSchedulerTest, AfterAnyHistoryNoClassAndNoCallerStarves) {
  struct Caller {
    RequestClass request_class;
    std::string name;
    double weight;
    double share;  // Of its class.
    std::deque<std::shared_ptr<RecordingSink>> sinks = {};
    int rows = 0;

    bool busy() {
      while (!sinks.empty() && sinks.front()->finished()) sinks.pop_front();
      return !sinks.empty();
    }
  };
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    Scheduler(/*max_batch_size=*/pick(1, 8), /*max_queued_images=*/1000);
    std::vector<Caller> callers = {{RequestClass::kInteractive, "a", 1, 0.25},
                                   {RequestClass::kInteractive, "b", 3, 0.75},
                                   {RequestClass::kBatch, "a", 1, 1 / 3.0},
                                   {RequestClass::kBatch, "c", 2, 2 / 3.0}};
    const auto submit = [&](size_t caller) {
      GenerationRequest request;
      request.count = pick(1, 8);
      request.seed = caller;  // Tells its rows from others.
      request.caller = callers[caller].name;
      request.caller_weight = callers[caller].weight;
      request.request_class = callers[caller].request_class;
      callers[caller].sinks.push_back(std::make_shared<RecordingSink>());
      ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request,
                               callers[caller].sinks.back())
                      .ok());
    };
    const auto tick = [&] {
      const LaneBatch batch = Next();
      for (const StepRow& row : batch.rows) ++callers[row.seed].rows;
      if (!batch.rows.empty()) Succeed(batch);
      return static_cast<int>(batch.rows.size());
    };
    for (int phase = pick(1, 8); phase > 0; --phase) {
      std::vector<size_t> present;
      for (size_t c = 0; c < callers.size(); ++c) {
        if (pick(0, 1) == 0) present.push_back(c);
      }
      for (int left = pick(0, 8000); left > 0 && !present.empty();) {
        for (size_t c : present) {
          if (!callers[c].busy()) submit(c);
        }
        left -= tick();
      }
      if (pick(0, 1) == 0) {
        while (tick() > 0) {
        }
      }
    }

    for (Caller& caller : callers) caller.rows = 0;
    int total = 0;
    while (total < 17 * 1000) {
      for (size_t c = 0; c < callers.size(); ++c) {
        while (!callers[c].busy() || callers[c].sinks.size() < 3) submit(c);
      }
      total += tick();
    }
    for (const Caller& caller : callers) {
      const double fair =
          total * caller.share *
          kClassWeights[static_cast<int>(caller.request_class)] / 17;
      // A request is finished in one go: one of them, of 32 rows, may have been
      // ahead at each end.
      EXPECT_NEAR(caller.rows, fair, 0.02 * fair + 64) << caller.name;
    }
    if (HasFailure()) return;
  }
}

TEST_F(BatchSchedulerTest, ARequestMaySetItsCallersWeightAnewWhileItHasWork) {
  BatchScheduler::Options options;
  options.lane_limits[0].max_batch_size = 3;
  options.max_queued_images = 8000;
  options.caller_weights = {{"gold", 3}};
  Scheduler(options);
  SubmitMany("bronze", 200, 1);
  SubmitMany("gold", 200, 5);
  for (int tick = 0; tick < 2000; ++tick) Tick();
  const double bronze = ImagesOf("bronze");
  const double gold = ImagesOf("gold");
  EXPECT_NEAR(gold / bronze, 5, 0.4);
  SubmitMany("gold", 1, 2);
  for (int tick = 0; tick < 2000; ++tick) Tick();
  EXPECT_NEAR((ImagesOf("gold") - gold) / (ImagesOf("bronze") - bronze), 2,
              0.2);
}

}  // namespace
}  // namespace ddgan
