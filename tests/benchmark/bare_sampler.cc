// Images per second of the sampler alone: a lane's runner in a loop over full
// batches, with no queue, no server and no encoding around it. What
// serving_benchmark.py holds the server against.
// Run: build/release/tests/benchmark/bare_sampler MODEL_ROOT MODEL BATCH
// SECONDS [DEVICE [PRECISION]], DEVICE cpu (all cores) or cuda:N, PRECISION as
// ddgan-server's
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "engine/api/precision.h"
#include "engine/base/host_cpus.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/lanes/cpu/cpu_lane_runner.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"

namespace ddgan {
namespace {

absl::StatusOr<std::unique_ptr<BatchRunner>> CreateRunner(
    const std::string& device, const std::string& precision, int batch_size) {
  if (device == "cpu") {
    CpuLaneRunnerOptions options;
    options.threads = UsableCpus();
    options.max_batch_size = batch_size;
    return CreateCpuLaneRunner(options);
  }
  GpuLaneRunnerOptions options;
  options.device = device;
  options.max_batch_size = batch_size;
  if (precision == "tf32") {
    options.precision = Precision::kTf32;
  } else if (precision == "bfloat16") {
    options.precision = Precision::kBfloat16;
  } else if (precision != "float32") {
    return absl::InvalidArgumentError("no such precision: " + precision);
  }
  return CreateGpuLaneRunner(options);
}

absl::StatusOr<double> ImagesPerSecond(const Checkpoint& checkpoint,
                                       const std::string& device,
                                       const std::string& precision,
                                       int batch_size, absl::Duration span) {
  absl::StatusOr<std::unique_ptr<BatchRunner>> runner =
      CreateRunner(device, precision, batch_size);
  if (!runner.ok()) return runner.status();
  // After the runner, as in a server: LibTorch then packs the weights for the
  // one thread on which a row runs.
  const absl::StatusOr<LoadedModel> loaded = LoadModel(
      checkpoint, device == "cpu" ? ModelUse::kCpuLanes : ModelUse::kGpuLanes);
  if (!loaded.ok()) return loaded.status();

  std::vector<StepRow> rows(batch_size);
  uint32_t index = 0;
  const auto run_batch = [&]() -> absl::Status {
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].id = i + 1;
      rows[i].seed = 7;
      rows[i].image_index = index++;
    }
    const int last = checkpoint.config.model_config.num_timesteps - 1;
    for (int step = last; step >= 0; --step) {
      for (StepRow& row : rows) row.step = step;
      const absl::StatusOr<StepOutcome*> outcome =
          (*runner)->RunStep(loaded->model, rows);
      if (!outcome.ok()) return outcome.status();
    }
    return absl::OkStatus();
  };
  if (absl::Status warm = run_batch(); !warm.ok()) return warm;
  const absl::Time start = absl::Now();
  index = 0;
  while (absl::Now() - start < span) {
    if (absl::Status status = run_batch(); !status.ok()) return status;
  }
  return index / absl::ToDoubleSeconds(absl::Now() - start);
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  int batch = 0;
  double seconds = 0;
  if (argc < 5 || argc > 7 || !absl::SimpleAtoi(argv[3], &batch) ||
      !absl::SimpleAtod(argv[4], &seconds)) {
    std::fprintf(stderr,
                 "usage: bare_sampler MODEL_ROOT MODEL BATCH SECONDS "
                 "[DEVICE [PRECISION]]\n");
    return 2;
  }
  const auto versions = ddgan::ListVersions(argv[1], argv[2]);
  if (!versions.ok() || versions->empty()) {
    std::fprintf(stderr, "bare_sampler: no version of %s in %s\n", argv[2],
                 argv[1]);
    return 1;
  }
  const auto checkpoint =
      ddgan::ReadCheckpoint(argv[1], argv[2], versions->front());
  const absl::StatusOr<double> rate =
      checkpoint.ok()
          ? ddgan::ImagesPerSecond(*checkpoint, argc > 5 ? argv[5] : "cpu",
                                   argc > 6 ? argv[6] : "float32", batch,
                                   absl::Seconds(seconds))
          : checkpoint.status();
  if (!rate.ok()) {
    std::fprintf(stderr, "bare_sampler: %s\n",
                 std::string(rate.status().message()).c_str());
    return 1;
  }
  std::printf("%.2f\n", *rate);
  return 0;
}
