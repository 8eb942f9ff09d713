// What the metrics of features cost at the sizes that papers use: seconds, and
// GiB of the process at its peak, of which the two sets themselves are
// 2 x rows x 1280 x 4 bytes (0.48 GiB for 50,000 rows).
// Run: build/release/tests/benchmark/evaluation_metrics_benchmark
//   --benchmark_filter=50000 is the size of the FID; minutes on two cores.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cstdint>
#include <random>
#include <vector>

#include "trainer/evaluation/metrics/feature_rows.h"
#include "trainer/evaluation/metrics/frechet_distance.h"
#include "trainer/evaluation/metrics/neighbour_metrics.h"

namespace ddgan {
namespace {

constexpr int64_t kFeatures = 1280;  // As EfficientNet-Lite0 has.

std::vector<float> RandomRows(int64_t rows, uint32_t seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * kFeatures);
  for (float& value : values) value = normal(bits);
  return values;
}

double PeakGib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1024 * 1024);
}

void BM_PrecisionRecallDensityCoverage(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const std::vector<float> real = RandomRows(rows, 1);
  const std::vector<float> generated = RandomRows(rows, 2);
  for (auto _ : state) {
    auto metrics = NeighbourMetricsOf(
        FeatureRows{real.data(), rows, kFeatures},
        FeatureRows{generated.data(), rows, kFeatures}, NeighbourOptions{},
        /*progress=*/nullptr);
    if (!metrics.ok()) return state.SkipWithError("no metrics");
    benchmark::DoNotOptimize(metrics);
  }
  state.counters["peak_GiB"] = PeakGib();
}
BENCHMARK(BM_PrecisionRecallDensityCoverage)
    ->Arg(2000)
    ->Arg(10000)
    ->Arg(50000)
    ->Iterations(1)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();

void BM_FrechetDistance(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const std::vector<float> real = RandomRows(rows, 1);
  const std::vector<float> generated = RandomRows(rows, 2);
  for (auto _ : state) {
    const auto first = StatisticsOf(FeatureRows{real.data(), rows, kFeatures});
    const auto second =
        StatisticsOf(FeatureRows{generated.data(), rows, kFeatures});
    if (!first.ok() || !second.ok())
      return state.SkipWithError("no statistics");
    benchmark::DoNotOptimize(FrechetDistance(*first, *second));
  }
  state.counters["peak_GiB"] = PeakGib();
}
BENCHMARK(BM_FrechetDistance)
    ->Arg(10000)
    ->Arg(50000)
    ->Iterations(1)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();

}  // namespace
}  // namespace ddgan

BENCHMARK_MAIN();
