// A tick allocates nothing once it is warm: neither the decision, nor the
// bookkeeping around it, nor what is delivered. What a runner and its sinks do
// is not looked at here: see runner_memory_test.cc. Counts every call of
// operator new in the process.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "engine/base/pixel_buffer.h"
#include "engine/scheduling/batch_scheduler.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/silent_sink.h"
#include "tests/fakes/submit_at_once.h"

namespace {

std::atomic<int64_t> allocations = 0;

void* Allocate(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ddgan {
namespace {

TEST(TickAllocationTest, AWarmTickAllocatesNothing) {
  EngineObserver observer;
  ManualClock clock;
  BatchScheduler::Options options;
  options.lane_limits[0].max_batch_size = 32;
  options.max_queued_images = 2048;
  options.caller_weights = {{"a", 2}};
  BatchScheduler scheduler(options, &observer, &clock);
  const auto version = SharedServableVersion("digits", 1, 4);
  version->costs->Record(32, absl::Milliseconds(1));
  for (const char* caller : {"a", "b", "c"}) {
    for (int i = 0; i < 20; ++i) {
      GenerationRequest request;
      request.count = 32;
      request.caller = caller;
      request.previews = i % 2 == 0;
      if (i == 0) request.deadline = clock.Now() + absl::Hours(1);
      ASSERT_TRUE(SubmitAtOnce(scheduler, version, request,
                               std::make_shared<SilentSink>())
                      .ok());
    }
  }
  // Images and requests begin and end, and sinks let their pixels go.
  PixelPool pool;
  pool.Keep(1 << 20);
  LaneBatch batch;
  StepOutcome outcome;
  int finished = 0;
  int previews = 0;
  const auto tick = [&] {
    ASSERT_TRUE(scheduler.NextBatch(0, &batch));
    ASSERT_EQ(batch.rows.size(), 32u);
    outcome.Clear();
    outcome.device_time = absl::Milliseconds(1);
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const StepRow& row = batch.rows[i];
      if (row.step == 0) outcome.finished.push_back({i, pool.Take(64)});
      if (row.preview) outcome.previews.push_back({i, pool.Take(64)});
    }
    finished += static_cast<int>(outcome.finished.size());
    previews += static_cast<int>(outcome.previews.size());
    scheduler.FinishBatch(0, &outcome);
  };
  for (int i = 0; i < 100; ++i) tick();
  finished = previews = 0;
  const int64_t before = allocations;
  for (int i = 0; i < 100; ++i) tick();
  EXPECT_EQ(allocations - before, 0);
  EXPECT_GT(finished, 500);
  EXPECT_GT(previews, 500);
}

}  // namespace
}  // namespace ddgan
