#include "trainer/evaluation/commands/denoising_samples.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/diffusion/philox.h"
#include "engine/imaging/guide_picture.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/normal_noise.h"
#include "engine/kernels/thread_pool.h"
#include "engine/kernels/workspace.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

constexpr int kMostLevels = 16;

// Planes (C, H, W) to rows at the end of `rows`.
void AppendRows(absl::Span<const float> planes, const ImageShape& shape,
                std::vector<uint8_t>* rows) {
  const size_t before = rows->size();
  rows->resize(before + planes.size());
  ToRgb8Cpu(planes, shape, absl::MakeSpan(*rows).subspan(before));
}

absl::Status RunLevel(const Model& model, int level, uint64_t seed,
                      const std::vector<float>& x,
                      std::vector<uint8_t>* samples) {
  std::vector<float> z(static_cast<size_t>(model.config().nz));
  std::vector<float> x0(x.size());
  kernels::Workspace workspace;
  kernels::ThreadPool threads(1);
  for (int latent = 0; latent < kLatents; ++latent) {
    if (!IsDenoiser(model.config())) {
      kernels::FillNormal(
          {seed, static_cast<uint32_t>(latent),
           static_cast<uint32_t>(level - 1), NoiseStream::kLatent},
          static_cast<int64_t>(z.size()), z.data());
    }
    const GeneratorRow row = {
        .x = x.data(), .t = level - 1, .z = z.data(), .x0 = x0.data()};
    model.generator().Run({&row, 1}, workspace, threads);
    for (const float value : x0) {
      if (!std::isfinite(value)) {
        return absl::InternalError(absl::StrCat(
            "the generator's output is not finite at t = ", level - 1,
            ", latent ", latent));
      }
    }
    AppendRows(x0, model.shape(), samples);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<int> StripLevels(int num_timesteps) {
  const int steps = std::min(num_timesteps, kMostLevels);
  std::vector<int> levels;
  for (int i = 0; i <= steps; ++i) levels.push_back(i * num_timesteps / steps);
  return levels;
}

absl::StatusOr<DenoisingSamples> SampleDenoising(
    const Checkpoint& checkpoint, absl::Span<const uint8_t> picture,
    uint64_t seed) {
  at::set_num_threads(1);
  const absl::StatusOr<LoadedModel> loaded =
      LoadModel(checkpoint, ModelUse::kCpuLanes);
  if (!loaded.ok()) return loaded.status();
  const Model& model = *loaded->model;
  const absl::StatusOr<std::vector<float>> x0 =
      FitGuide({model.shape(), {picture.begin(), picture.end()}}, model.shape(),
               GuideFit::kRefuse);
  if (!x0.ok()) return x0.status();
  return CatchingLibTorch(
      "denoising", [&]() -> absl::StatusOr<DenoisingSamples> {
        DenoisingSamples result;
        result.levels = StripLevels(model.config().num_timesteps);
        AppendRows(*x0, model.shape(), &result.chain);
        std::vector<float> x(x0->size());
        for (size_t i = 1; i < result.levels.size(); ++i) {
          const int level = result.levels[i];
          kernels::FillNormal(
              {seed, 0, static_cast<uint32_t>(level), NoiseStream::kGuide},
              static_cast<int64_t>(x.size()), x.data());
          const NoiseSchedule& schedule = model.schedule();
          const auto t = static_cast<size_t>(level);
          kernels::Diffuse(schedule.ac[t], x0->data(), schedule.sc[t],
                           static_cast<int64_t>(x.size()), x.data());
          AppendRows(x, model.shape(), &result.chain);
          if (absl::Status s = RunLevel(model, level, seed, x, &result.samples);
              !s.ok()) {
            return s;
          }
        }
        return result;
      });
}

}  // namespace ddgan
