// How many pictures a second does EfficientNet-Lite0 look at, on one thread and
// on several that each call it?
// Run: build/release/tests/benchmark/feature_network_benchmark
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "trainer/evaluation/features/feature_network.h"

namespace ddgan {
namespace {

constexpr int kPictures = 8;  // Of one call.

const FeatureNetwork& Network() {
  static const std::unique_ptr<FeatureNetwork> network = [] {
    at::set_num_threads(1);
    FeatureNetworkOptions options;
    options.name = "efficientnet-lite0";
    auto opened = OpenFeatureNetwork(options);
    return opened.ok() ? *std::move(opened) : nullptr;
  }();
  return *network;
}

void BM_EfficientNetLite0(benchmark::State& state) {
  const FeatureNetwork& network = Network();
  const std::vector<uint8_t> pixels(kPictures * 3 * 32 * 32, 100);
  for (auto _ : state) {
    benchmark::DoNotOptimize(network.Run(pixels, ImageShape{3, 32, 32}));
  }
  state.SetItemsProcessed(state.iterations() * kPictures);
}
BENCHMARK(BM_EfficientNetLite0)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace ddgan

BENCHMARK_MAIN();
