// Cost of one batching decision, and of one whole tick of the scheduler around
// it, against queue length: both run under the scheduler's mutex.
// Run: build/release/tests/benchmark/batch_policy_benchmark
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/clock.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/scheduling/batch_scheduler.h"
#include "tests/fakes/silent_sink.h"
#include "tests/fakes/submit_at_once.h"

namespace ddgan {
namespace {

void BM_DecideBatch(benchmark::State& state) {
  const absl::Time accepted_at = absl::UnixEpoch();
  std::vector<RunnableTrajectory> runnable(state.range(0));
  const std::vector<uint64_t> last_turn = {1, 2, 3};
  Shares shares;
  shares.flows.resize(4);
  for (size_t i = 0; i < runnable.size(); ++i) {
    runnable[i].version = i % last_turn.size();
    runnable[i].started = i < 32;
    runnable[i].accepted_at = accepted_at;
    runnable[i].flow = i / 8 % shares.flows.size();
  }
  BatchDecision decision;
  for (auto _ : state) {
    DecideBatch(runnable, last_turn, shares, BatchLimits(), accepted_at,
                &decision);
    benchmark::DoNotOptimize(decision.rows.data());
  }
}
BENCHMARK(BM_DecideBatch)->RangeMultiplier(8)->Range(8, 32768);

// NextBatch and FinishBatch of a lane that never gets to the end of its queue.
void BM_SchedulerTick(benchmark::State& state) {
  EngineObserver observer;
  BatchScheduler::Options options;
  options.max_queued_images = static_cast<int>(state.range(0));
  BatchScheduler scheduler(options, &observer, RealClock());
  auto version = std::make_shared<ServableVersion>();
  version->num_timesteps = 4;
  version->evaluations = 4;
  GenerationRequest request;
  request.count = 8;
  const auto sink = std::make_shared<SilentSink>();
  LaneBatch batch;
  for (auto _ : state) {
    state.PauseTiming();
    while (SubmitAtOnce(scheduler, version, request, sink).ok()) {
    }
    state.ResumeTiming();
    scheduler.NextBatch(0, &batch);
    StepOutcome outcome;
    for (size_t row = 0; row < batch.rows.size(); ++row) {
      if (batch.rows[row].step == 0) outcome.finished.push_back({row, {}});
    }
    scheduler.FinishBatch(0, &outcome);
  }
}
BENCHMARK(BM_SchedulerTick)->RangeMultiplier(8)->Range(64, 32768);

}  // namespace
}  // namespace ddgan

BENCHMARK_MAIN();
