#include "engine/lanes/cpu/sampler.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/base/libtorch_errors.h"
#include "engine/diffusion/philox.h"
#include "engine/diffusion/state_update.h"
#include "engine/diffusion/update_rule.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

// Buffers of one thread, reused from row to row.
struct RowScratch {
  std::vector<float> initial;
  std::vector<float> z;
  std::vector<float> noise;
  std::vector<float> x;
};

void ToPixels(absl::Span<const float> planes, const ImageShape& shape,
              PixelFormat format, uint8_t* pixels) {
  if (format == PixelFormat::kUint8) {
    ToRgb8Cpu(planes, shape, {pixels, planes.size()});
  } else {
    std::memcpy(pixels, planes.data(), planes.size() * sizeof(float));
  }
}

// The correction of this image, whose x0' and state have `count` values each.
LinearUpdate MeasuredUpdate(const Correction& correction, const float* x0,
                            const float* x_next, const float* noise,
                            int64_t count) {
  double noise_square = 0, residual_square = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double residual = x_next[i] - correction.ac * x0[i];
    residual_square += residual * residual;
    noise_square += static_cast<double>(noise[i]) * noise[i];
  }
  return CorrectionUpdate(correction, noise_square, residual_square);
}

void RunRow(const Model& model, SamplerRow& row, RowScratch& scratch) {
  const ModelConfig& config = model.config();
  const Evaluation& evaluation = model.plan()[row.step];
  const int t = evaluation.t;
  const int64_t numel = static_cast<int64_t>(config.num_channels) *
                        config.image_size * config.image_size;
  const auto draw = [&](uint32_t step, NoiseStream stream, int64_t count,
                        std::vector<float>& out) {
    out.resize(count);
    FillNormal({row.seed, row.image_index, step, stream}, count, out.data());
  };

  const NoiseSchedule& schedule = model.schedule();
  const float* x_next = row.x_next;
  if (row.guide != nullptr) {
    // The forward process (spec 1.3).
    draw(row.step + 1, NoiseStream::kGuide, numel, scratch.initial);
    const float ac = schedule.ac[t + 1], sc = schedule.sc[t + 1];
    for (int64_t i = 0; i < numel; ++i) {
      scratch.initial[i] = ac * row.guide[i] + sc * scratch.initial[i];
    }
    x_next = scratch.initial.data();
  } else if (row.step + 1 == static_cast<int>(model.plan().size())) {
    draw(config.num_timesteps, NoiseStream::kInitial, numel, scratch.initial);
    x_next = scratch.initial.data();
  }
  if (IsDenoiser(config)) {
    scratch.z.assign(config.nz, 0);
  } else {
    draw(row.step, NoiseStream::kLatent, config.nz, scratch.z);
  }
  float* x = row.x;
  if (x == nullptr) {
    scratch.x.resize(numel);
    x = scratch.x.data();
  }
  const absl::Span<const float> planes(x, numel);
  model.generator().Run(x_next, t, scratch.z.data(), x);
  if (row.preview != nullptr) {
    ToPixels(planes, model.shape(), row.pixel_format, row.preview);
  }

  // The move, in place over x0'. Noise of factor 0 is not drawn.
  LinearUpdate update = evaluation.update;
  if (evaluation.corrects()) {
    draw(row.step, NoiseStream::kLangevin, numel, scratch.noise);
    update = MeasuredUpdate(evaluation.correction, x, x_next,
                            scratch.noise.data(), numel);
  } else if (update.noise != 0) {
    draw(row.step, NoiseStream::kPosterior, numel, scratch.noise);
  }
  // Finite values stay finite times 0; anything else does not.
  float check = 0;
  if (update.noise == 0) {
    for (int64_t i = 0; i < numel; ++i) {
      x[i] = update.x0 * x[i] + update.x * x_next[i];
      check += x[i] * 0.0f;
    }
  } else {
    for (int64_t i = 0; i < numel; ++i) {
      x[i] = update.x0 * x[i] + update.x * x_next[i] +
             update.noise * scratch.noise[i];
      check += x[i] * 0.0f;
    }
  }
  row.not_finite = std::isnan(check);
  if (row.image != nullptr) {
    ToPixels(planes, model.shape(), row.pixel_format, row.image);
  }
}

}  // namespace

// A batch's rows are taken one by one by the threads that are free. LibTorch
// itself runs on one thread in each, so that neither results nor waiting depend
// on its own pool.
class Sampler::Threads {
 public:
  explicit Threads(int count) {
    at::set_num_threads(1);
    try {
      for (int i = 0; i < count; ++i) threads_.emplace_back([this] { Work(); });
    } catch (...) {
      Stop();
      throw;
    }
  }

  ~Threads() { Stop(); }

  absl::Status Run(const Model& model, absl::Span<SamplerRow> rows) {
    absl::MutexLock lock(&mutex_);
    model_ = &model;
    rows_ = rows;
    next_ = done_ = 0;
    status_ = absl::OkStatus();
    mutex_.Await(absl::Condition(this, &Threads::Done));
    model_ = nullptr;
    rows_ = {};
    return status_;
  }

 private:
  void Stop() {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
    }
    for (std::thread& thread : threads_) thread.join();
  }

  bool Done() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return done_ == rows_.size();
  }
  bool Wanted() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stop_ || next_ < rows_.size();
  }

  void Work() {
    at::init_num_threads();
    RowScratch scratch;
    absl::MutexLock lock(&mutex_);
    while (true) {
      mutex_.Await(absl::Condition(this, &Threads::Wanted));
      if (stop_) return;
      SamplerRow& row = rows_[next_++];
      const Model& model = *model_;
      mutex_.Unlock();
      absl::Status status =
          CatchThrown("denoising step", [&] { RunRow(model, row, scratch); });
      mutex_.Lock();
      if (!status.ok()) status_.Update(std::move(status));
      ++done_;
    }
  }

  absl::Mutex mutex_;
  const Model* model_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::Span<SamplerRow> rows_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;  // Constant after construction.
};

Sampler::Sampler(int num_threads)
    : threads_(std::make_unique<Threads>(num_threads)) {}

Sampler::~Sampler() = default;

absl::Status Sampler::Step(const Model& model, absl::Span<SamplerRow> rows) {
  return threads_->Run(model, rows);
}

}  // namespace ddgan
