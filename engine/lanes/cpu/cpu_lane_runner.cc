#include "engine/lanes/cpu/cpu_lane_runner.h"

#include <ATen/Parallel.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"
#include "engine/base/libtorch_errors.h"
#include "engine/base/monotonic_clock.h"
#include "engine/base/pixel_buffer.h"
#include "engine/lanes/cpu/sampler.h"
#include "engine/lanes/lane_runner.h"
#include "engine/lanes/step_backend.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

// What the models of a lane share.
struct CpuLane {
  explicit CpuLane(const CpuLaneRunnerOptions& options)
      : sampler(options.threads, options.cpus) {}

  Sampler sampler;
  // Images in flight, and pictures that leave the lane.
  PixelPool pool;
  // Of the step that is running; the memory is reused from step to step.
  std::vector<SamplerRow> rows;
};

// The weights stay where they are, in the Model.
class CpuModel : public DeviceModel {
 public:
  CpuModel(const Model& model, CpuLane& lane)
      : DeviceModel(model.shape(), static_cast<int>(model.plan().size())),
        lane_(lane),
        weight_bytes_(model.bytes()),
        image_bytes_(sizeof(float) * shape().numel()) {}

  ~CpuModel() override { lane_.sampler.ReleaseMemory(); }

  ImageSlot TakeSlot() override {
    if (free_.empty()) {
      // Room for every slot, so that GiveSlot needs no memory.
      if (free_.capacity() <= images_.size()) {
        free_.reserve(2 * images_.size() + 1);
      }
      images_.emplace_back();
      free_.push_back(static_cast<ImageSlot>(images_.size() - 1));
    }
    const ImageSlot slot = free_.back();
    images_[slot] = lane_.pool.Take(image_bytes_);
    free_.pop_back();
    return slot;
  }

  void GiveSlot(ImageSlot slot) noexcept override {
    if (slot == kNoSlot) return;
    images_[slot] = PixelBuffer();
    free_.push_back(slot);
  }

  absl::StatusOr<absl::Duration> Step(const Model& model,
                                      absl::Span<BackendRow> rows) override {
    const absl::Time start = RealMonotonicClock()->Now();
    lane_.rows.clear();
    for (const BackendRow& row : rows) {
      lane_.rows.push_back({.seed = row.seed,
                            .image_index = row.image_index,
                            .step = row.step,
                            .x_next = Floats(row.from),
                            .guide = row.guide,
                            .x = Floats(row.to),
                            .pixel_format = row.pixel_format,
                            .image = row.image,
                            .preview = row.preview});
    }
    absl::Status status = lane_.sampler.Step(model, absl::MakeSpan(lane_.rows));
    if (!status.ok()) return status;
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].not_finite = lane_.rows[i].not_finite;
    }
    return RealMonotonicClock()->Now() - start;
  }

  int64_t bytes() const override {
    return weight_bytes_ +
           static_cast<int64_t>((images_.size() - free_.size()) * image_bytes_);
  }

 private:
  float* Floats(ImageSlot slot) {
    return slot == kNoSlot ? nullptr : images_[slot].floats();
  }

  CpuLane& lane_;
  const int64_t weight_bytes_;
  const size_t image_bytes_;
  std::vector<PixelBuffer> images_;  // By slot; empty where it is free.
  std::vector<ImageSlot> free_;
};

class CpuStepBackend : public StepBackend {
 public:
  explicit CpuStepBackend(const CpuLaneRunnerOptions& options)
      : lane_(options) {}

  absl::StatusOr<std::unique_ptr<DeviceModel>> Load(
      const Model& model) override {
    if (!model.has_generator()) {
      return absl::InternalError(absl::StrCat(
          model.identity().model, "/", model.identity().version,
          " was loaded for GPU lanes only; a CPU lane cannot run it"));
    }
    return std::make_unique<CpuModel>(model, lane_);
  }

  PixelPool& pixel_pool() override { return lane_.pool; }
  int64_t spare_bytes() const override {
    return static_cast<int64_t>(lane_.pool.free_bytes()) +
           lane_.sampler.bytes();
  }

 private:
  CpuLane lane_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BatchRunner>> CreateCpuLaneRunner(
    const CpuLaneRunnerOptions& options) {
  for (const absl::Status& status :
       {CheckRange("threads", options.threads, 1, 256),
        CheckRange("max_batch_size", options.max_batch_size, 1, 256),
        CheckRange("max_trajectories", options.max_trajectories,
                   options.max_batch_size, kMaxTrajectories)}) {
    if (!status.ok()) return status;
  }
  if (!options.cpus.empty() &&
      options.cpus.size() != static_cast<size_t>(options.threads)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cpus has ", options.cpus.size(), " values for ", options.threads,
        " threads; allowed are none or one for "
        "each"));
  }
  using Created = absl::StatusOr<std::unique_ptr<BatchRunner>>;
  return CatchingLibTorch("cpu", [&]() -> Created {
    // What LibTorch still does, folding a version's weights, takes no processor
    // from the lanes.
    at::set_num_threads(1);
    return NewLaneRunner({options.max_batch_size, options.max_trajectories},
                         std::make_unique<CpuStepBackend>(options));
  });
}

}  // namespace ddgan
