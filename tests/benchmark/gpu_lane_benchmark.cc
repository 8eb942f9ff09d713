// How many CIFAR-10 images per second does one GPU lane make, by batch,
// pinned shape and number format? Weights are random.
// Run: build/cuda/tests/benchmark/gpu_lane_benchmark
//      --benchmark_filter=pinned:16/  for one pinned shape
//
// Every iteration takes `batch` images through all 4 steps. Runs on cuda:0, or
// where there is none the GPU step on the CPU, in small batches and float32.
// The first lines name the device. `device_ms` is the device's own time per
// step of the batch: what is left of the wall time is the host's. `warm_up_s`
// is the first batch's time: it records and checks the shapes that no smaller
// batch called for. A label names shapes that are not used, and why.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/base/cuda_devices.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

std::shared_ptr<const Model> CifarModel() {
  static const auto model = std::make_shared<const Model>(
      ModelIdentity{"cifar10", 1, ""},
      Generator(ModelConfig(),
                InitialParameters(PlanGenerator(ModelConfig()).parameters, 1)),
      ModelUse::kGpuLanes);
  return model;
}

// One whole trajectory for every row. Returns the device's time.
absl::StatusOr<absl::Duration> MakeImages(BatchRunner& runner,
                                          std::vector<StepRow>& rows) {
  absl::Duration device_time;
  const int steps = CifarModel()->config().num_timesteps;
  for (int step = steps - 1; step >= 0; --step) {
    for (StepRow& row : rows) row.step = step;
    const absl::StatusOr<StepOutcome*> outcome =
        runner.RunStep(CifarModel(), rows);
    if (!outcome.ok()) return outcome.status();
    device_time += (*outcome)->device_time;
  }
  return device_time;
}

// One lane for all batches, so that shapes are recorded once.
struct Lane {
  std::unique_ptr<BatchRunner> runner;
  std::vector<std::string> notices;
  std::map<size_t, double> warm_up_s;  // Of the first batch of each size.
};

absl::StatusOr<Lane*> LaneOf(const std::string& device, Precision precision,
                             int pinned_batch) {
  // Never destroyed: at the process's end the GPU's driver has gone first.
  static auto& lanes = *new std::map<std::pair<Precision, int>, Lane>();
  Lane& lane = lanes[{precision, pinned_batch}];
  if (lane.runner != nullptr) return &lane;
  GpuLaneRunnerOptions options;
  options.device = device;
  options.precision = precision;
  options.max_batch_size = 256;
  options.pinned_batch = pinned_batch;
  options.on_notice = [&lane](const std::string& notice) {
    lane.notices.push_back(notice);
  };
  absl::StatusOr<std::unique_ptr<BatchRunner>> runner =
      CreateGpuLaneRunner(options);
  if (!runner.ok()) return runner.status();
  lane.runner = *std::move(runner);
  return &lane;
}

void BM_Images(benchmark::State& state, const std::string& device,
               Precision precision) {
  const absl::StatusOr<Lane*> lane =
      LaneOf(device, precision, static_cast<int>(state.range(1)));
  if (!lane.ok()) {
    state.SkipWithError(std::string(lane.status().message()).c_str());
    return;
  }
  BatchRunner& runner = *(*lane)->runner;
  std::vector<StepRow> rows(state.range(0));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].id = i;
    rows[i].seed = 7;
    rows[i].image_index = static_cast<uint32_t>(i);
  }
  // Warm-up: weights to the device, and the recordings.
  const absl::Time start = absl::Now();
  if (const auto first = MakeImages(runner, rows); !first.ok()) {
    state.SkipWithError(std::string(first.status().message()).c_str());
    return;
  }
  state.counters["warm_up_s"] =
      (*lane)
          ->warm_up_s
          .try_emplace(rows.size(), absl::ToDoubleSeconds(absl::Now() - start))
          .first->second;
  state.SetLabel(absl::StrJoin((*lane)->notices, "; "));
  absl::Duration device_time;
  for (auto _ : state) {
    const absl::StatusOr<absl::Duration> time = MakeImages(runner, rows);
    if (!time.ok()) {
      state.SkipWithError(std::string(time.status().message()).c_str());
      return;
    }
    device_time += *time;
  }
  const double images = static_cast<double>(state.iterations()) *
                        static_cast<double>(rows.size());
  const double steps = static_cast<double>(state.iterations()) *
                       CifarModel()->config().num_timesteps;
  state.counters["images/s"] =
      benchmark::Counter(images, benchmark::Counter::kIsRate);
  state.counters["device_ms"] = absl::ToDoubleMilliseconds(device_time) / steps;
}

void Register(const std::string& device, const std::string& name,
              Precision precision, const std::vector<int64_t>& batches,
              const std::vector<int64_t>& pinned) {
  benchmark::RegisterBenchmark(("BM_Images/" + name).c_str(), BM_Images, device,
                               precision)
      ->ArgNames({"batch", "pinned"})
      ->ArgsProduct({batches, pinned})
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

void RegisterAll() {
  if (CudaDeviceCount() == 0) {
    benchmark::AddCustomContext("device",
                                "cpu (the GPU step, not how CPUs serve)");
    Register("cpu", "float32", Precision::kFloat32, {1, 4}, {4});
    return;
  }
  benchmark::AddCustomContext("device", CudaDeviceName(0));
  const std::vector<int64_t> batches = {1, 8, 64, 256};
  const std::vector<int64_t> pinned = {64};
  Register("cuda:0", "float32", Precision::kFloat32, batches, pinned);
  Register("cuda:0", "tf32", Precision::kTf32, batches, pinned);
  Register("cuda:0", "bfloat16", Precision::kBfloat16, batches, pinned);
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  ddgan::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
