#include "engine/lanes/cpu/sampler.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "engine/base/libtorch_errors.h"
#include "engine/diffusion/philox.h"
#include "engine/diffusion/update_rule.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/normal_noise.h"
#include "engine/kernels/thread_pool.h"
#include "engine/kernels/workspace.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

using kernels::Workspace;

// An image's way through a network is always worth a thread.
constexpr int64_t kMuchWork = int64_t{1} << 30;
// Operations on 16 floats for 16 normal numbers, about.
constexpr int64_t kNoiseWork = 60;

void Draw(const SamplerRow& row, uint32_t step, NoiseStream stream,
          int64_t count, float* out) {
  kernels::FillNormal({row.seed, row.image_index, step, stream}, count, out);
}

void ToPixels(absl::Span<const float> planes, const ImageShape& shape,
              PixelFormat format, uint8_t* pixels) {
  if (format == PixelFormat::kUint8) {
    ToRgb8Cpu(planes, shape, {pixels, planes.size()});
  } else {
    std::memcpy(pixels, planes.data(), planes.size() * sizeof(float));
  }
}

// What a row is computed in; each array has as many values as an image, z as
// the latent.
struct RowBuffers {
  float* initial;
  float* noise;
  float* z;
  float* x;
};

// The state that the network is given, from `initial` where it begins here.
const float* StartRow(const Model& model, const SamplerRow& row, int64_t numel,
                      const RowBuffers& buffers) {
  const ModelConfig& config = model.config();
  if (IsDenoiser(config)) {
    std::fill_n(buffers.z, config.nz, 0.0f);
  } else {
    Draw(row, row.step, NoiseStream::kLatent, config.nz, buffers.z);
  }
  if (row.guide != nullptr) {
    // The forward process (MODEL.md 1).
    const int level = model.plan()[row.step].t + 1;
    Draw(row, row.step + 1, NoiseStream::kGuide, numel, buffers.initial);
    kernels::Diffuse(model.schedule().ac[level], row.guide,
                     model.schedule().sc[level], numel, buffers.initial);
    return buffers.initial;
  }
  if (row.step + 1 == static_cast<int>(model.plan().size())) {
    Draw(row, config.num_timesteps, NoiseStream::kInitial, numel,
         buffers.initial);
    return buffers.initial;
  }
  return row.x_next;
}

// From x0' in buffers.x to the state that follows, in its place.
void FinishRow(const Model& model, const float* x_next, int64_t numel,
               const RowBuffers& buffers, SamplerRow& row) {
  const absl::Span<const float> planes(buffers.x, numel);
  if (row.preview != nullptr) {
    ToPixels(planes, model.shape(), row.pixel_format, row.preview);
  }
  const Evaluation& evaluation = model.plan()[row.step];
  LinearUpdate update = evaluation.update;
  if (evaluation.corrects()) {
    Draw(row, row.step, NoiseStream::kLangevin, numel, buffers.noise);
    const Correction& correction = evaluation.correction;
    update = CorrectionUpdate(
        correction, kernels::SquaredNorm(buffers.noise, numel),
        kernels::SquaredDistance(x_next, correction.ac, buffers.x, numel));
  } else if (update.noise != 0) {
    Draw(row, row.step, NoiseStream::kPosterior, numel, buffers.noise);
  }
  row.not_finite =
      !kernels::ApplyUpdate(update, x_next, buffers.noise, numel, buffers.x);
  if (row.image != nullptr) {
    ToPixels(planes, model.shape(), row.pixel_format, row.image);
  }
}

// `threads` share the work on the rows. At most as many rows as the generator
// takes at once.
void RunRows(const Model& model, absl::Span<SamplerRow> rows,
             Workspace& workspace, std::vector<RowBuffers>& buffers,
             std::vector<GeneratorRow>& generator_rows,
             kernels::ThreadPool& threads) {
  const ModelConfig& config = model.config();
  const int64_t count = static_cast<int64_t>(rows.size());
  const int64_t numel =
      int64_t{1} * config.num_channels * config.image_size * config.image_size;
  const Workspace::Buffer initial = workspace.Take(count * numel),
                          noise = workspace.Take(count * numel),
                          x = workspace.Take(count * numel),
                          z = workspace.Take(count * config.nz);
  buffers.clear();
  generator_rows.assign(rows.size(), {});
  for (int64_t i = 0; i < count; ++i) {
    float* const kept = rows[i].x;
    buffers.push_back({.initial = initial.data() + i * numel,
                       .noise = noise.data() + i * numel,
                       .z = z.data() + i * config.nz,
                       .x = kept != nullptr ? kept : x.data() + i * numel});
  }
  const int64_t work = kNoiseWork * numel / 16;
  threads.Run(count, work, [&](int64_t i) {
    generator_rows[i] = {.x = StartRow(model, rows[i], numel, buffers[i]),
                         .t = model.plan()[rows[i].step].t,
                         .z = buffers[i].z,
                         .x0 = buffers[i].x};
  });
  model.generator().Run(generator_rows, workspace, threads);
  threads.Run(count, work, [&](int64_t i) {
    FinishRow(model, generator_rows[i].x, numel, buffers[i], rows[i]);
  });
}

}  // namespace

// What one thread needs for rows of its own; the memory is used again.
struct Sampler::Share {
  Workspace workspace;
  std::vector<RowBuffers> buffers;
  std::vector<GeneratorRow> generator_rows;
  absl::Status status;

  void Run(const Model& model, absl::Span<SamplerRow> rows,
           kernels::ThreadPool& threads) {
    status = CatchThrown("denoising step", [&] {
      const size_t most = static_cast<size_t>(model.generator().max_rows());
      while (!rows.empty()) {
        const size_t count = std::min(most, rows.size());
        RunRows(model, rows.subspan(0, count), workspace, buffers,
                generator_rows, threads);
        rows.remove_prefix(count);
      }
    });
  }
};

Sampler::Sampler(int num_threads, absl::Span<const int> cpus)
    : threads_(std::make_unique<kernels::ThreadPool>(
          num_threads, kernels::ThreadPool::kLeastWork, cpus)),
      shares_(static_cast<size_t>(num_threads)) {}

Sampler::~Sampler() = default;

absl::Status Sampler::Step(const Model& model, absl::Span<SamplerRow> rows) {
  // Threads that each take whole images need not wait for each other. What is
  // left, fewer images than threads, is shared by all of them layer by layer.
  const size_t each = rows.size() / shares_.size();
  if (each > 0) {
    threads_->Run(static_cast<int64_t>(shares_.size()), kMuchWork,
                  [&](int64_t i) {
                    kernels::ThreadPool alone(1);
                    shares_[i].Run(model, rows.subspan(i * each, each), alone);
                  });
    for (const Share& share : shares_) {
      if (!share.status.ok()) return share.status;
    }
  }
  shares_[0].Run(model, rows.subspan(each * shares_.size()), *threads_);
  return shares_[0].status;
}

int64_t Sampler::bytes() const {
  int64_t bytes = 0;
  for (const Share& share : shares_) bytes += share.workspace.bytes();
  return bytes;
}

void Sampler::ReleaseMemory() {
  for (Share& share : shares_) share.workspace.Shrink();
}

}  // namespace ddgan
