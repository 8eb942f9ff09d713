// How many CIFAR-10 images per second does one tensor lane make, by batch,
// pinned shape and number format? Weights are random.
// Run: build/cuda/tests/benchmark/tensor_runner_benchmark
//      --benchmark_filter=pinned:16/  for one pinned shape
//
// Every iteration takes `batch` images through all 4 steps. Runs on cuda:0, or
// where there is no GPU on the CPU twin, in small batches and float32. The
// first lines name the device. `device_ms` is the device's own time per step of
// the batch: what is left of the wall time is the host's.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/cuda_devices.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "engine/tensor_batch_runner.h"

namespace ddgan {
namespace {

std::shared_ptr<const Model> CifarModel() {
  static const auto model = std::make_shared<const Model>(
      ModelIdentity{"cifar10", 1, ""},
      Generator(ModelConfig(),
                InitialParameters(PlanGenerator(ModelConfig()).parameters, 1)),
      ModelUse::kTensorLanes);
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

void BM_Images(benchmark::State& state, const std::string& device,
               Precision precision) {
  TensorBatchRunnerOptions options;
  options.device = device;
  options.precision = precision;
  options.max_batch_size = static_cast<int>(state.range(0));
  options.pinned_batch = static_cast<int>(state.range(1));
  const absl::StatusOr<std::unique_ptr<BatchRunner>> runner =
      CreateTensorBatchRunner(options);
  std::vector<StepRow> rows(state.range(0));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].id = i;
    rows[i].seed = 7;
    rows[i].image_index = static_cast<uint32_t>(i);
  }
  // Warm-up: weights to the device, and the recording.
  if (!runner.ok() || !MakeImages(**runner, rows).ok()) {
    state.SkipWithError("the lane does not work");
    return;
  }
  absl::Duration device_time;
  for (auto _ : state) {
    const absl::StatusOr<absl::Duration> time = MakeImages(**runner, rows);
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
    benchmark::AddCustomContext("device", "cpu (the twin, not how CPUs serve)");
    Register("cpu", "float32", Precision::kFloat32, {1, 4}, {1, 4});
    return;
  }
  benchmark::AddCustomContext("device", CudaDeviceName(0));
  const std::vector<int64_t> batches = {1, 8, 64, 256};
  const std::vector<int64_t> pinned = {8, 16, 64};
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
