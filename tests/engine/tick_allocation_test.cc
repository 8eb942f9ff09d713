// A tick allocates nothing once it is warm: neither the decision, nor the
// bookkeeping around it. Counts every call of operator new in the process.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "engine/batch_scheduler.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/silent_engine_parts.h"

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
  SilentObserver observer;
  ManualClock clock;
  BatchScheduler::Options options;
  options.lane_limits[0].max_batch_size = 32;
  options.caller_weights = {{"a", 2}};
  BatchScheduler scheduler(options, &observer, &clock);
  // So many steps that no image is finished meanwhile.
  const auto version = SharedServableVersion("digits", 1, 1000);
  version->costs->Record(32, absl::Milliseconds(1));
  for (const char* caller : {"a", "b", "c"}) {
    for (int i = 0; i < 4; ++i) {
      GenerationRequest request;
      request.count = 16;
      request.caller = caller;
      if (i == 0) request.deadline = clock.Now() + absl::Hours(1);
      ASSERT_TRUE(
          scheduler.Submit(version, request, std::make_shared<SilentSink>())
              .ok());
    }
  }
  LaneBatch batch;
  const auto tick = [&] {
    ASSERT_TRUE(scheduler.NextBatch(0, &batch));
    ASSERT_EQ(batch.rows.size(), 32u);
    StepOutcome outcome;
    outcome.device_time = absl::Milliseconds(1);
    scheduler.FinishBatch(0, std::move(outcome));
  };
  for (int i = 0; i < 100; ++i) tick();  // Every request has started.
  const int64_t before = allocations;
  for (int i = 0; i < 100; ++i) tick();
  EXPECT_EQ(allocations - before, 0);
}

}  // namespace
}  // namespace ddgan
