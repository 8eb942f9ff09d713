#include "engine/tensor_batch_runner.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/device/device_ops.h"
#include "engine/device/pinned_step.h"
#include "engine/device/slot_pool.h"
#include "engine/libtorch_errors.h"
#include "engine/model/model.h"
#include "engine/pixel_buffer.h"
#include "engine/trajectory_map.h"

namespace ddgan {
namespace {

// What the lane holds of one model.
struct Resident {
  Resident(const std::shared_ptr<const Model>& model,
           const TensorBatchRunnerOptions& options, DeviceOps& ops)
      : model(model),
        shape(model->shape()),
        numel(int64_t{1} * shape.channels * shape.height * shape.width),
        step(*model, options.precision, options.pinned_batch, ops),
        slots(ops.device(), numel, options.pinned_batch) {}

  const std::weak_ptr<const Model> model;
  const ImageShape shape;
  const int64_t numel;
  PinnedStep step;
  SlotPool slots;
  TrajectoryMap<float*> in_flight;  // x_{t+1} of each
};

// Where a batch's pixels come to lie in host memory: of each kind that some row
// of the batch asks for, all rows, in order of the batch.
class PixelLayout {
 public:
  enum Kind { kX8, kX32, kPreview8, kPreview32, kKinds };

  static Kind KindOf(PixelFormat format, bool preview) {
    if (format == PixelFormat::kUint8) return preview ? kPreview8 : kX8;
    return preview ? kPreview32 : kX32;
  }

  // `count` is the rows of the batch, padding included.
  PixelLayout(absl::Span<const StepRow> rows, int64_t count, int64_t numel)
      : numel_(numel) {
    bool wanted[kKinds] = {};
    for (const StepRow& row : rows) {
      if (row.step == 0) wanted[KindOf(row.pixel_format, false)] = true;
      if (row.preview) wanted[KindOf(row.pixel_format, true)] = true;
    }
    for (int kind = 0; kind < kKinds; ++kind) {
      if (!wanted[kind]) continue;
      offset_[kind] = size_;
      // The next kind's floats begin at a multiple of their size.
      const int64_t bytes = count * RowBytes(static_cast<Kind>(kind));
      size_ += (bytes + 15) / 16 * 16;
    }
  }

  bool Wanted(Kind kind) const { return offset_[kind] >= 0; }
  int64_t RowBytes(Kind kind) const {
    const bool floats = kind == kX32 || kind == kPreview32;
    return numel_ * (floats ? static_cast<int64_t>(sizeof(float)) : 1);
  }
  int64_t Offset(Kind kind, int64_t row) const {
    return offset_[kind] + row * RowBytes(kind);
  }
  int64_t size() const { return size_; }

 private:
  const int64_t numel_;
  int64_t offset_[kKinds] = {-1, -1, -1, -1};  // -1: nobody asks for it.
  int64_t size_ = 0;
};

class TensorBatchRunner : public BatchRunner {
 public:
  TensorBatchRunner(const TensorBatchRunnerOptions& options,
                    std::unique_ptr<DeviceOps> ops)
      : options_(options), ops_(std::move(ops)) {
    const int64_t rows = PaddedRows(options_.max_batch_size);
    host_rows_ = ops_->HostMemory(rows * kRowBytes);
    host_not_finite_ =
        ops_->HostMemory(rows * static_cast<int64_t>(sizeof(int32_t)))
            .view(at::kInt);
    host_pixels_ = ops_->HostMemory(0);  // Grows when pixels are asked for.
  }

  absl::StatusOr<StepOutcome*> RunStep(
      const std::shared_ptr<const Model>& model,
      absl::Span<const StepRow> rows) override {
    DropUnusedModels();
    outcome_.Clear();
    Resident* resident = nullptr;
    // All memory is taken before the step, so that nothing can fail after it.
    const absl::Status status = CatchingLibTorch("denoising step", [&] {
      absl::Status valid = Validate(*model, rows);
      if (!valid.ok()) return valid;
      const c10::NoGradGuard no_grad;
      resident = &ResidentOf(model);
      outcome_.device_time = ops_->Run([&] {
        Allot(*resident, rows);
        Step(*model, *resident, rows);
      });
      return CheckFinite(*model, rows);
    });
    if (!status.ok()) {
      if (resident != nullptr) Return(*resident, rows);
      return status;
    }

    Commit(*resident, rows);
    FillPixels(*resident, rows);
    outcome_.device_memory_bytes = DeviceMemory();
    return &outcome_;
  }

  void Forget(absl::Span<const TrajectoryId> ids) override {
    DropUnusedModels();
    for (auto& [model, resident] : residents_) {
      for (const TrajectoryId id : ids) {
        float** const x = resident->in_flight.Find(id);
        if (x == nullptr) continue;
        resident->slots.Give(*x);
        resident->in_flight.Remove(id);
      }
    }
  }

 private:
  static constexpr int64_t kRowBytes = sizeof(DeviceRow);

  // Device memory that one row of the batch holds until the step is done.
  struct RowSlots {
    float* guide = nullptr;  // The picture, where there is one.
    float* next = nullptr;   // For x_t, where the trajectory goes on.
    bool added = false;      // The trajectory is new in in_flight.
  };

  int64_t PaddedRows(int64_t rows) const {
    const int64_t pinned = options_.pinned_batch;
    return (rows + pinned - 1) / pinned * pinned;
  }

  static bool Starts(const StepRow& row, int first_step) {
    return row.step == first_step || row.guide != nullptr;
  }

  absl::Status Validate(const Model& model, absl::Span<const StepRow> rows) {
    if (rows.empty() ||
        rows.size() > static_cast<size_t>(options_.max_batch_size)) {
      return absl::InternalError(absl::StrCat("a batch of ", rows.size(),
                                              " rows; the lane takes 1 to ",
                                              options_.max_batch_size));
    }
    if (model.parameters().empty()) {
      return absl::InternalError(
          absl::StrCat(model.identity().model, "/", model.identity().version,
                       " was loaded for CPU lanes only; ", options_.device,
                       " cannot run it"));
    }
    const auto found = residents_.find(&model);
    const int first_step = model.config().num_timesteps - 1;
    size_t in_flight = 0;
    for (const auto& [key, resident] : residents_) {
      in_flight += resident->in_flight.size();
    }
    for (const StepRow& row : rows) {
      const bool known = found != residents_.end() &&
                         found->second->in_flight.Find(row.id) != nullptr;
      if (row.step < 0 || row.step > first_step ||
          (!Starts(row, first_step) && !known)) {
        return absl::InternalError(absl::StrCat("trajectory ", row.id,
                                                " cannot take step ", row.step,
                                                " of ", first_step + 1));
      }
      if (!known) ++in_flight;
    }
    if (in_flight > static_cast<size_t>(options_.max_trajectories)) {
      return absl::ResourceExhaustedError(absl::StrCat(
          rows.size(), " rows would make ", in_flight,
          " images on the lane, at most ", options_.max_trajectories));
    }
    return absl::OkStatus();
  }

  Resident& ResidentOf(const std::shared_ptr<const Model>& model) {
    std::unique_ptr<Resident>& resident = residents_[model.get()];
    if (resident == nullptr) {
      try {
        ops_->Run([&] {
          resident = std::make_unique<Resident>(model, options_, *ops_);
        });
      } catch (...) {
        residents_.erase(model.get());
        throw;
      }
    }
    return *resident;
  }

  // Takes memory for everything that the step will write, so that a step that
  // fails has changed nothing.
  void Allot(Resident& resident, absl::Span<const StepRow> rows) {
    const auto numel = static_cast<size_t>(resident.numel);
    // Twice what a batch takes: an image and a preview of every row.
    pixel_pool_.Keep(4 * static_cast<size_t>(options_.max_batch_size) * numel *
                     sizeof(float));
    row_slots_.clear();
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      const size_t bytes = row.pixel_format == PixelFormat::kUint8
                               ? numel
                               : numel * sizeof(float);
      RowSlots& slots = row_slots_.emplace_back();
      if (row.guide != nullptr) slots.guide = resident.slots.Take();
      if (row.preview) {
        outcome_.previews.push_back({i, pixel_pool_.Take(bytes)});
      }
      if (row.step == 0) {
        outcome_.finished.push_back({i, pixel_pool_.Take(bytes)});
        continue;
      }
      slots.next = resident.slots.Take();
      slots.added = resident.in_flight.Add(row.id);
    }
  }

  void Return(Resident& resident, absl::Span<const StepRow> rows) {
    for (size_t i = 0; i < row_slots_.size(); ++i) {
      const RowSlots& slots = row_slots_[i];
      resident.slots.Give(slots.guide);
      resident.slots.Give(slots.next);
      if (slots.added) resident.in_flight.Remove(rows[i].id);
    }
    row_slots_.clear();
    outcome_.Clear();
  }

  // Enqueues the batch as steps of the pinned shape, and the copies back.
  void Step(const Model& model, Resident& resident,
            absl::Span<const StepRow> rows) {
    const int64_t pinned = options_.pinned_batch;
    const int64_t padded = PaddedRows(static_cast<int64_t>(rows.size()));
    FillRows(model, resident, rows, padded);
    const PixelLayout layout(rows, padded, resident.numel);
    if (host_pixels_.numel() < layout.size()) {
      host_pixels_ = ops_->HostMemory(layout.size());
    }
    const PinnedStep& step = resident.step;
    for (int64_t first = 0; first < padded; first += pinned) {
      resident.step.Enqueue(
          host_rows_.narrow(0, first * kRowBytes, pinned * kRowBytes));
      host_not_finite_.narrow(0, first, pinned)
          .copy_(step.not_finite(), /*non_blocking=*/true);
      CopyBack(layout, PixelLayout::kX8, first, step.x_rgb8());
      CopyBack(layout, PixelLayout::kX32, first, step.x());
      CopyBack(layout, PixelLayout::kPreview8, first, step.x0_rgb8());
      CopyBack(layout, PixelLayout::kPreview32, first, step.x0());
    }
  }

  void FillRows(const Model& model, Resident& resident,
                absl::Span<const StepRow> rows, int64_t padded) {
    const NoiseSchedule& schedule = model.schedule();
    const int first_step = schedule.num_timesteps() - 1;
    DeviceRow* device_rows =
        static_cast<DeviceRow*>(host_rows_.mutable_data_ptr());
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      const int t = row.step;
      DeviceRow& to = device_rows[i];
      to = {row.seed,         row.image_index,    t,
            /*from=*/nullptr,
            /*from_scale=*/0, /*noise_scale=*/1,  schedule.c1[t],
            schedule.c2[t],   schedule.stddev[t], row_slots_[i].next};
      if (row.guide != nullptr) {
        const auto floats = at::dtype(at::kFloat);
        at::from_blob(row_slots_[i].guide, {resident.numel},
                      floats.device(ops_->device()))
            .copy_(at::from_blob(const_cast<float*>(row.guide),
                                 {resident.numel}, floats));
        to.from = row_slots_[i].guide;
        to.from_scale = schedule.ac[t + 1];
        to.noise_scale = schedule.sc[t + 1];
      } else if (t != first_step) {
        to.from = *resident.in_flight.Find(row.id);
        to.from_scale = 1;
        to.noise_scale = 0;
      }
    }
    // Padding computes the last row again, for nobody.
    DeviceRow padding = device_rows[rows.size() - 1];
    padding.to = nullptr;
    std::fill(device_rows + rows.size(), device_rows + padded, padding);
  }

  void CopyBack(const PixelLayout& layout, PixelLayout::Kind kind,
                int64_t first, const at::Tensor& from) {
    if (!layout.Wanted(kind)) return;
    host_pixels_
        .narrow(0, layout.Offset(kind, first),
                options_.pinned_batch * layout.RowBytes(kind))
        .view(from.scalar_type())
        .copy_(from.view({-1}), /*non_blocking=*/true);
  }

  absl::Status CheckFinite(const Model& model, absl::Span<const StepRow> rows) {
    const int32_t* not_finite = host_not_finite_.const_data_ptr<int32_t>();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (not_finite[i] == 0) continue;
      return absl::InternalError(absl::StrCat(
          model.identity().model, "/", model.identity().version,
          ": the generator's output is not finite at seed ", rows[i].seed,
          ", index ", rows[i].image_index, ", step ", rows[i].step));
    }
    return absl::OkStatus();
  }

  // Every row moves. Needs no memory.
  void Commit(Resident& resident, absl::Span<const StepRow> rows) {
    for (size_t i = 0; i < rows.size(); ++i) {
      resident.slots.Give(row_slots_[i].guide);
      float** const x = resident.in_flight.Find(rows[i].id);
      if (x == nullptr) continue;  // One step was all.
      resident.slots.Give(*x);
      *x = row_slots_[i].next;
      if (*x == nullptr) resident.in_flight.Remove(rows[i].id);
    }
    row_slots_.clear();
  }

  // The pixels have come to pinned memory in one piece for all rows.
  void FillPixels(const Resident& resident, absl::Span<const StepRow> rows) {
    const int64_t padded = PaddedRows(static_cast<int64_t>(rows.size()));
    const PixelLayout layout(rows, padded, resident.numel);
    const uint8_t* host = host_pixels_.const_data_ptr<uint8_t>();
    const auto fill = [&](std::vector<FinishedImage>& images, bool preview) {
      for (FinishedImage& image : images) {
        const PixelLayout::Kind kind =
            PixelLayout::KindOf(rows[image.row].pixel_format, preview);
        const int64_t offset =
            layout.Offset(kind, static_cast<int64_t>(image.row));
        std::memcpy(image.pixels.data(), host + offset, image.pixels.size());
      }
    };
    fill(outcome_.finished, false);
    fill(outcome_.previews, true);
  }

  int64_t DeviceMemory() const {
    int64_t bytes = 0;
    for (const auto& [model, resident] : residents_) {
      bytes += resident->step.bytes() + resident->slots.bytes();
    }
    return bytes;
  }

  void DropUnusedModels() {
    std::erase_if(residents_, [](const auto& entry) {
      return entry.second->model.expired();
    });
  }

  const TensorBatchRunnerOptions options_;
  const std::unique_ptr<DeviceOps> ops_;
  // By address: an entry whose model is gone leaves before anyone looks for a
  // new model at that address.
  std::map<const Model*, std::unique_ptr<Resident>> residents_;
  PixelPool pixel_pool_;
  // Of the step that is running; their memory is reused from step to step.
  std::vector<RowSlots> row_slots_;
  StepOutcome outcome_;
  // Host memory that the device copies from and to, reused from step to step.
  at::Tensor host_rows_;        // DeviceRow [padded rows], as uint8
  at::Tensor host_not_finite_;  // int32 [padded rows]
  at::Tensor host_pixels_;      // uint8; see PixelLayout
};

absl::Status CheckRange(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, " is ", value, ", must be in [", low, ", ", high, "]"));
}

absl::StatusOr<std::unique_ptr<DeviceOps>> OpsOf(const std::string& device) {
  if (device == "cpu") return NewCpuOps();
  absl::string_view index = device;
  int number = 0;
  if (!absl::ConsumePrefix(&index, "cuda:") ||
      !absl::SimpleAtoi(index, &number) || number < 0 || number > 127) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device is '", device, "', must be cpu or cuda:N, N in [0, 127]"));
  }
  return NewCudaOps(number);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchRunner>> CreateTensorBatchRunner(
    const TensorBatchRunnerOptions& options) {
  for (const absl::Status& status :
       {CheckRange("pinned_batch", options.pinned_batch, 1, 256),
        CheckRange("max_batch_size", options.max_batch_size, 1, 4096),
        CheckRange("max_trajectories", options.max_trajectories,
                   options.max_batch_size, 1'000'000)}) {
    if (!status.ok()) return status;
  }
  if (options.device == "cpu" && options.precision == Precision::kTf32) {
    return absl::InvalidArgumentError(
        "precision is tf32, which the cpu does not have");
  }
  using Created = absl::StatusOr<std::unique_ptr<BatchRunner>>;
  return CatchingLibTorch(options.device, [&]() -> Created {
    absl::StatusOr<std::unique_ptr<DeviceOps>> ops = OpsOf(options.device);
    if (!ops.ok()) return ops.status();
    return std::make_unique<TensorBatchRunner>(options, *std::move(ops));
  });
}

}  // namespace ddgan
