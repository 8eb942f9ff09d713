// One evaluation of a version's generator by the sampler of a CPU lane, for
// compare_frameworks.py: its inputs and its output as raw float32, and how long
// it takes.
// Run: build/release/tests/benchmark/sampler_step MODEL_ROOT MODEL BATCH
// THREADS SECONDS FOLDER. Writes FOLDER/x and x0 [BATCH, C, S, S] and z [BATCH,
// nz], and prints t and the median of the milliseconds.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/kernels/normal_noise.h"
#include "engine/lanes/cpu/sampler.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

using Floats = std::vector<float>;

constexpr uint64_t kSeed = 7;

bool Write(const std::string& path, const Floats& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  return file.good();
}

absl::Status Measure(const Checkpoint& checkpoint, int batch, int threads,
                     absl::Duration span, const std::string& folder) {
  const absl::StatusOr<LoadedModel> loaded =
      LoadModel(checkpoint, ModelUse::kCpuLanes);
  if (!loaded.ok()) return loaded.status();
  const Model& model = *loaded->model;
  // Neither the first, which draws its own x, nor the last.
  const int step = static_cast<int>(model.plan().size()) - 2;
  if (step < 0) return absl::InvalidArgumentError("the model has one step");
  const size_t numel = model.shape().numel();
  const size_t nz = static_cast<size_t>(model.config().nz);
  const size_t count = static_cast<size_t>(batch);
  Floats x(count * numel), next(x.size()), x0(x.size()), z(count * nz);
  std::vector<SamplerRow> rows(count);
  for (size_t i = 0; i < count; ++i) {
    const NoiseKey key = {kSeed, static_cast<uint32_t>(i),
                          static_cast<uint32_t>(step), NoiseStream::kLatent};
    kernels::FillNormal(key, static_cast<int64_t>(nz), &z[i * nz]);
    NoiseKey image = key;
    image.stream = NoiseStream::kInitial;
    kernels::FillNormal(image, static_cast<int64_t>(numel), &x[i * numel]);
    rows[i].seed = kSeed;
    rows[i].image_index = static_cast<uint32_t>(i);
    rows[i].step = step;
    rows[i].x_next = &x[i * numel];
    rows[i].x = &next[i * numel];
    rows[i].pixel_format = PixelFormat::kFloat32;
    rows[i].preview = reinterpret_cast<uint8_t*>(&x0[i * numel]);
  }
  Sampler sampler(threads);
  std::vector<double> milliseconds;
  // The first takes memory.
  if (const auto warm = sampler.Step(model, absl::MakeSpan(rows)); !warm.ok()) {
    return warm;
  }
  const absl::Time end = absl::Now() + span;
  while (milliseconds.empty() || absl::Now() < end) {
    const absl::Time start = absl::Now();
    const absl::Status status = sampler.Step(model, absl::MakeSpan(rows));
    if (!status.ok()) return status;
    milliseconds.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
  }
  if (!Write(folder + "/x", x) || !Write(folder + "/z", z) ||
      !Write(folder + "/x0", x0)) {
    return absl::InternalError(folder + ": cannot write");
  }
  const auto middle = milliseconds.begin() +
                      static_cast<std::ptrdiff_t>(milliseconds.size() / 2);
  std::nth_element(milliseconds.begin(), middle, milliseconds.end());
  std::printf("%d %.3f\n", model.plan()[static_cast<size_t>(step)].t, *middle);
  return absl::OkStatus();
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  int batch = 0, threads = 0;
  double seconds = 0;
  if (argc != 7 || !absl::SimpleAtoi(argv[3], &batch) ||
      !absl::SimpleAtoi(argv[4], &threads) ||
      !absl::SimpleAtod(argv[5], &seconds) || batch < 1 || threads < 1) {
    std::fprintf(stderr,
                 "usage: sampler_step MODEL_ROOT MODEL BATCH THREADS SECONDS "
                 "FOLDER\n");
    return 2;
  }
  const auto versions = ddgan::ListVersions(argv[1], argv[2]);
  if (!versions.ok() || versions->empty()) {
    std::fprintf(stderr, "sampler_step: no version of %s in %s\n", argv[2],
                 argv[1]);
    return 1;
  }
  const auto checkpoint =
      ddgan::ReadCheckpoint(argv[1], argv[2], versions->front());
  const absl::Status status =
      checkpoint.ok() ? ddgan::Measure(*checkpoint, batch, threads,
                                       absl::Seconds(seconds), argv[6])
                      : checkpoint.status();
  if (!status.ok()) {
    std::fprintf(stderr, "sampler_step: %s\n",
                 std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
