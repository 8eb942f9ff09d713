#include "engine/lanes/gpu/gpu_step_backend.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "engine/lanes/gpu/gpu_lane.h"
#include "engine/lanes/gpu/pixel_layout.h"
#include "engine/lanes/gpu/recorded_step.h"
#include "engine/lanes/gpu/shape_recorder.h"
#include "engine/lanes/gpu/slot_pool.h"
#include "engine/model/gpu_generator.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

class GpuModel : public DeviceModel {
 public:
  GpuModel(const Model& model, GpuLane& lane)
      : DeviceModel(model.shape(), static_cast<int>(model.plan().size())),
        lane_(lane),
        numel_(static_cast<int64_t>(shape().numel())),
        slots_(lane.ops->device(), numel_, lane.options.pinned_batch) {
    const c10::NoGradGuard no_grad;
    lane_.ops->Run([&] {
      const c10::Device device = lane_.ops->device();
      generator_.emplace(model, device, lane_.options.precision);
      memory_.emplace(shape(), model.config().nz, lane_.shape_rows.back(),
                      device, HasCorrections(model.plan()));
    });
    shapes_.emplace(model, *generator_, *memory_, lane_);
  }

  ImageSlot TakeSlot() override {
    if (slots_.empty()) lane_.ops->Run([&] { slots_.Grow(); });
    return slots_.Take();
  }

  void GiveSlot(ImageSlot slot) noexcept override { slots_.Give(slot); }

  absl::StatusOr<absl::Duration> Step(const Model& model,
                                      absl::Span<BackendRow> rows) override {
    const c10::NoGradGuard no_grad;
    shapes_->Prepare(model, static_cast<int>(rows.size()));
    shapes_->StepsFor(static_cast<int>(rows.size()), &steps_);
    padded_rows_ = 0;
    for (const RecordedStep* step : steps_) padded_rows_ += step->rows();

    // Guides need memory on the device until the step is done.
    const absl::Cleanup give_guides = [&] {
      for (const ImageSlot slot : guides_) slots_.Give(slot);
      guides_.clear();
    };
    guides_.reserve(rows.size());
    for (const BackendRow& row : rows) {
      if (row.guide != nullptr) guides_.push_back(TakeSlot());
    }

    const absl::Duration time = lane_.ops->Run([&] { Enqueue(model, rows); });
    Collect(rows);
    return time;
  }

  int64_t bytes() const override {
    return generator_->bytes() + memory_->bytes() + slots_.bytes();
  }

 private:
  // Enqueues the batch as steps of the recorded shapes, and the copies back.
  void Enqueue(const Model& model, absl::Span<const BackendRow> rows) {
    FillRows(model, rows);
    const PixelLayout layout(rows, padded_rows_, numel_);
    if (lane_.host_pixels.numel() < layout.size()) {
      lane_.host_pixels = lane_.ops->HostMemory(layout.size());
    }
    int64_t first = 0;
    for (RecordedStep* step : steps_) {
      const int64_t count = step->rows();
      step->Enqueue(
          lane_.host_rows.narrow(0, first * kRowBytes, count * kRowBytes));
      lane_.host_not_finite.narrow(0, first, count)
          .copy_(memory_->not_finite.narrow(0, 0, count),
                 /*non_blocking=*/true);
      CopyBack(layout, PixelLayout::kX8, first, count, memory_->x_rgb8);
      CopyBack(layout, PixelLayout::kX32, first, count, memory_->x);
      CopyBack(layout, PixelLayout::kPreview8, first, count, memory_->x0_rgb8);
      CopyBack(layout, PixelLayout::kPreview32, first, count, memory_->x0);
      first += count;
    }
  }

  void FillRows(const Model& model, absl::Span<const BackendRow> rows) {
    const NoiseSchedule& schedule = model.schedule();
    const SamplingPlan& plan = model.plan();
    DeviceRow* const device_rows =
        static_cast<DeviceRow*>(lane_.host_rows.mutable_data_ptr());
    auto guide = guides_.begin();
    for (size_t i = 0; i < rows.size(); ++i) {
      const BackendRow& row = rows[i];
      DeviceRow& to = device_rows[i];
      to = DrawnRow(model, row.seed, row.image_index, row.step);
      to.to = slots_.At(row.to);
      if (row.guide != nullptr) {
        float* const picture = slots_.At(*guide++);
        const auto floats = at::dtype(at::kFloat);
        at::from_blob(picture, {numel_}, floats.device(lane_.ops->device()))
            .copy_(
                at::from_blob(const_cast<float*>(row.guide), {numel_}, floats));
        const int level = plan[row.step].t + 1;
        to.from = picture;
        to.from_scale = schedule.ac[level];
        to.noise_scale = schedule.sc[level];
        to.start_word = static_cast<uint32_t>(row.step) + 1;
      } else if (row.from != kNoSlot) {
        to.from = slots_.At(row.from);
        to.from_scale = 1;
        to.noise_scale = 0;
      }
    }
    // Padding computes the last row again, for nobody.
    DeviceRow padding = device_rows[rows.size() - 1];
    padding.to = nullptr;
    std::fill(device_rows + rows.size(), device_rows + padded_rows_, padding);
  }

  // `count` rows of a step's results, for the batch's rows from `first` on.
  void CopyBack(const PixelLayout& layout, PixelLayout::Kind kind,
                int64_t first, int64_t count, const at::Tensor& from) {
    if (!layout.Wanted(kind)) return;
    lane_.host_pixels
        .narrow(0, layout.Offset(kind, first), count * layout.RowBytes(kind))
        .view(from.scalar_type())
        .copy_(from.narrow(0, 0, count).view({-1}), /*non_blocking=*/true);
  }

  // What the device has copied to the host, to the rows that it is for.
  void Collect(absl::Span<BackendRow> rows) const {
    const PixelLayout layout(rows, padded_rows_, numel_);
    const int32_t* not_finite = lane_.host_not_finite.const_data_ptr<int32_t>();
    const uint8_t* pixels = lane_.host_pixels.const_data_ptr<uint8_t>();
    for (size_t i = 0; i < rows.size(); ++i) {
      BackendRow& row = rows[i];
      row.not_finite = not_finite[i] != 0;
      const auto copy = [&](uint8_t* to, bool preview) {
        if (to == nullptr) return;
        const PixelLayout::Kind kind =
            PixelLayout::KindOf(row.pixel_format, preview);
        std::memcpy(to, pixels + layout.Offset(kind, static_cast<int64_t>(i)),
                    layout.RowBytes(kind));
      };
      copy(row.image, false);
      copy(row.preview, true);
    }
  }

  GpuLane& lane_;
  const int64_t numel_;
  // Made where the device's work is enqueued, inside DeviceOps::Run.
  std::optional<const GpuGenerator> generator_;
  std::optional<const StepMemory> memory_;
  std::optional<ShapeRecorder> shapes_;
  SlotPool slots_;
  // Of the step that is running; their memory is reused from step to step.
  std::vector<RecordedStep*> steps_;
  int64_t padded_rows_ = 0;
  std::vector<ImageSlot> guides_;  // In order of the batch.
};

class GpuStepBackend : public StepBackend {
 public:
  GpuStepBackend(const GpuLaneRunnerOptions& options,
                 std::unique_ptr<DeviceOps> ops)
      : lane_(options, std::move(ops)) {}

  absl::StatusOr<std::unique_ptr<DeviceModel>> Load(
      const Model& model) override {
    if (model.parameters().empty()) {
      return absl::InternalError(
          absl::StrCat(model.identity().model, "/", model.identity().version,
                       " was loaded for CPU lanes only; ", lane_.options.device,
                       " cannot run it"));
    }
    return std::make_unique<GpuModel>(model, lane_);
  }

  PixelPool& pixel_pool() override { return pool_; }
  int64_t spare_bytes() const override { return 0; }

 private:
  GpuLane lane_;
  PixelPool pool_;
};

}  // namespace

std::unique_ptr<StepBackend> NewGpuStepBackend(
    const GpuLaneRunnerOptions& options, std::unique_ptr<DeviceOps> ops) {
  return std::make_unique<GpuStepBackend>(options, std::move(ops));
}

}  // namespace ddgan
