// How much of the machine's matrix product rate does a denoising step reach, at
// batch 1 to 16, of the CIFAR-10 generator, of the bundled model's and of one
// for 64x64 images? And what would one batched LibTorch call do in its place?
// Run: build/release/tests/benchmark/sampler_benchmark
//
// Sgemm is measured first, on as many threads at once as the sampler has; each
// line's `of_sgemm` is its own rate divided by that, counting the operations of
// direct convolutions: Winograd's are fewer, so it may exceed 1. Weights are
// random.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "engine/base/host_cpus.h"
#include "engine/lanes/cpu/sampler.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

int Cores() { return UsableCpus(); }

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// Floating-point operations of one image's step: convolutions and attention;
// all else is less than a hundredth.
double StepFlops(const GeneratorPlan& plan) {
  double flops = 0;
  for (const ModulePlan& module : plan.modules) {
    const double in = module.in_channels, out = module.out_channels;
    double pixels = static_cast<double>(module.resolution) * module.resolution;
    switch (module.kind) {
      case ModuleKind::kConv3x3:
        flops += 2 * 9 * in * out * pixels;
        break;
      case ModuleKind::kResBlock:
      case ModuleKind::kResBlockDown:
      case ModuleKind::kResBlockUp:
        if (module.kind == ModuleKind::kResBlockDown) pixels /= 4;
        if (module.kind == ModuleKind::kResBlockUp) pixels *= 4;
        flops += 2 * 9 * (in * out + out * out) * pixels;
        if (HasSkipConv(module)) flops += 2 * in * out * pixels;
        break;
      case ModuleKind::kAttention:
        flops += 2 * 4 * in * in * pixels + 2 * 2 * in * pixels * pixels;
        break;
      case ModuleKind::kConvDown:
        flops += 2 * 9 * in * out * pixels / 4;
        break;
      case ModuleKind::kCombine:
        flops += 2 * in * out * pixels;
        break;
      case ModuleKind::kLinear:
      case ModuleKind::kGroupNorm:
        break;
    }
  }
  return flops;
}

// Single-threaded products of 1024 x 1024 matrices on every core at once, in
// operations per second; the best of a few rounds.
double SgemmRate() {
  static const double rate = [] {
    at::set_num_threads(1);
    constexpr int kSize = 1024, kProducts = 16;
    double best = 0;
    for (int round = 0; round < 5; ++round) {
      const auto start = std::chrono::steady_clock::now();
      std::vector<std::thread> threads;
      for (int i = 0; i < Cores(); ++i) {
        threads.emplace_back([] {
          at::init_num_threads();
          const c10::NoGradGuard no_grad;
          const at::Tensor a = at::randn({kSize, kSize});
          const at::Tensor b = at::randn({kSize, kSize});
          for (int k = 0; k < kProducts; ++k) {
            benchmark::DoNotOptimize(at::mm(a, b));
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
      best = std::max(best, 2.0 * kSize * kSize * kSize * kProducts * Cores() /
                                SecondsSince(start));
    }
    return best;
  }();
  return rate;
}

ModelConfig CifarConfig() { return ModelConfig(); }

ModelConfig BundledConfig() {
  ModelConfig config;
  config.num_channels = 1;
  config.num_channels_dae = 16;
  config.ch_mult = {1, 2, 2};
  config.num_res_blocks = 1;
  config.nz = 32;
  config.z_emb_dim = 32;
  config.n_mlp = 2;
  return config;
}

ModelConfig Config64() {
  ModelConfig config;
  config.image_size = 64;
  config.num_channels_dae = 64;
  return config;
}

using MakeConfig = ModelConfig (*)();

Generator RandomGenerator(const ModelConfig& config) {
  return Generator(config,
                   InitialParameters(PlanGenerator(config).parameters, 1));
}

void Report(benchmark::State& state, const Generator& generator,
            double seconds) {
  const double images =
      static_cast<double>(state.iterations()) * state.range(0);
  const double rate = images * StepFlops(generator.plan()) / seconds;
  state.counters["image_steps/s"] = images / seconds;
  state.counters["GFLOP/s"] = rate * 1e-9;
  state.counters["of_sgemm"] = rate / SgemmRate();
}

void BM_Sgemm(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(SgemmRate());
  state.counters["GFLOP/s"] = SgemmRate() * 1e-9;
  state.counters["threads"] = Cores();
}
BENCHMARK(BM_Sgemm)->Iterations(1);

// What a lane does.
void BM_SamplerStep(benchmark::State& state, MakeConfig make_config) {
  SgemmRate();
  const ModelConfig config = make_config();
  const Generator generator = RandomGenerator(config);
  const Model model(ModelIdentity{"random", 1, ""}, generator);
  Sampler sampler(Cores());
  const size_t numel = static_cast<size_t>(config.num_channels) *
                       config.image_size * config.image_size;
  std::vector<std::vector<float>> from(state.range(0),
                                       std::vector<float>(numel, 0.5f));
  std::vector<std::vector<float>> to = from;
  std::vector<SamplerRow> rows;
  for (int64_t i = 0; i < state.range(0); ++i) {
    rows.push_back({.seed = 7,
                    .image_index = static_cast<uint32_t>(i),
                    .step = static_cast<int>(i % 3),
                    .x_next = from[i].data(),
                    .guide = nullptr,
                    .x = to[i].data()});
  }
  (void)sampler.Step(model, absl::MakeSpan(rows));  // Warm-up.
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    if (!sampler.Step(model, absl::MakeSpan(rows)).ok()) {
      state.SkipWithError("step failed");
    }
  }
  Report(state, generator, SecondsSince(start));
}

// The general generator on the same cores, a batch as one tensor: LibTorch's
// eager operators in channels_last, our FIR and group norm kernels.
void BM_GeneratorBatch(benchmark::State& state, MakeConfig make_config) {
  SgemmRate();
  const c10::NoGradGuard no_grad;
  at::set_num_threads(Cores());
  const ModelConfig config = make_config();
  const Generator generator = RandomGenerator(config);
  const int64_t batch = state.range(0);
  const at::Tensor x = at::randn(
      {batch, config.num_channels, config.image_size, config.image_size});
  const at::Tensor z = at::randn({batch, config.nz});
  const at::Tensor t = at::full({batch}, 2, at::kLong);
  generator.Forward(x, t, z);  // Warm-up.
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    benchmark::DoNotOptimize(generator.Forward(x, t, z));
  }
  Report(state, generator, SecondsSince(start));
  at::set_num_threads(1);
}

void Batches(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t batch : {1, 2, 4, 8, 16}) benchmark->Arg(batch);
  benchmark->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(BM_SamplerStep, cifar10, CifarConfig)->Apply(Batches);
BENCHMARK_CAPTURE(BM_SamplerStep, bundled, BundledConfig)->Apply(Batches);
BENCHMARK_CAPTURE(BM_SamplerStep, size_64, Config64)->Apply(Batches);
BENCHMARK_CAPTURE(BM_GeneratorBatch, cifar10, CifarConfig)->Apply(Batches);
BENCHMARK_CAPTURE(BM_GeneratorBatch, bundled, BundledConfig)->Apply(Batches);

}  // namespace
}  // namespace ddgan

BENCHMARK_MAIN();
