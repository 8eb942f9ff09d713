#include "engine/lanes/tensor_batch_runner.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
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
#include "engine/base/libtorch_errors.h"
#include "engine/base/pixel_buffer.h"
#include "engine/lanes/gpu/device_batch_runner.h"
#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/gpu/pinned_step.h"
#include "engine/lanes/gpu/slot_pool.h"
#include "engine/lanes/gpu/step_shapes.h"
#include "engine/lanes/trajectory_map.h"
#include "engine/model/convolutions.h"
#include "engine/model/model.h"
#include "engine/model/tensor_model.h"

namespace ddgan {
namespace {

constexpr int64_t kRowBytes = sizeof(DeviceRow);
// Images by which a shape is compared with the pinned one.
constexpr int64_t kMostProbes = 64;
constexpr uint64_t kProbeSeed = 0x70726f6265;

// What the lane holds of one model.
struct Resident {
  Resident(const std::shared_ptr<const Model>& model, Precision precision,
           int64_t pinned_batch, int64_t largest_batch, c10::Device device)
      : model(model),
        shape(model->shape()),
        numel(int64_t{1} * shape.channels * shape.height * shape.width),
        tensor_model(*model, device, precision),
        memory(shape, model->config().nz, largest_batch, device),
        slots(device, numel, pinned_batch) {}

  // A step of one batch shape, and what became of the attempt to record it.
  struct Shape {
    int rows = 0;
    bool tried = false;
    double cost = 0;
    std::unique_ptr<PinnedStep> step;  // Null: not to be used.
  };

  const std::weak_ptr<const Model> model;
  const ImageShape shape;
  const int64_t numel;
  const TensorModel tensor_model;
  const StepMemory memory;
  std::vector<Shape> shapes;  // Ascending.
  // Of those that may be used, and the position that n rows run first as.
  std::vector<PinnedStep*> steps;
  std::vector<int> first_step;
  // x0' and x_t of the probes by the pinned shape, [probes, C, S, S] each.
  at::Tensor probe_x0;
  at::Tensor probe_x;
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
      : options_(options),
        ops_(std::move(ops)),
        shape_rows_(
            ShapesToRecord(options.max_batch_size, options.pinned_batch)),
        convolutions_(ops_->NewConvolutions(options.precision)) {
    // The last shape of a batch may be padded.
    const int64_t rows =
        std::max<int64_t>(options_.max_batch_size, kMostProbes) +
        shape_rows_.back();
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
      RecordShapes(*model, *resident, static_cast<int>(rows.size()));
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
  // Device memory that one row of the batch holds until the step is done.
  struct RowSlots {
    float* guide = nullptr;  // The picture, where there is one.
    float* next = nullptr;   // For x_t, where the trajectory goes on.
    bool added = false;      // The trajectory is new in in_flight.
  };

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
          resident = std::make_unique<Resident>(
              model, options_.precision, options_.pinned_batch,
              shape_rows_.back(), ops_->device());
        });
        RecordPinnedShape(*model, *resident);
      } catch (...) {
        residents_.erase(model.get());
        throw;
      }
    }
    return *resident;
  }

  void RecordPinnedShape(const Model& model, Resident& resident) {
    for (const int rows : shape_rows_) {
      Resident::Shape& shape = resident.shapes.emplace_back();
      shape.rows = rows;
      if (rows != options_.pinned_batch) continue;
      Record(resident, shape, nullptr);
      RunProbes(model, resident, shape, &resident.probe_x0, &resident.probe_x);
    }
    ChooseShapes(resident);
  }

  // Those that a batch of `rows` may run as and that were not tried before: up
  // to the smallest that holds it.
  void RecordShapes(const Model& model, Resident& resident, int rows) {
    bool any = false;
    for (size_t i = 0; i < resident.shapes.size(); ++i) {
      Resident::Shape& shape = resident.shapes[i];
      if (i > 0 && resident.shapes[i - 1].rows >= rows) break;
      if (shape.tried) continue;
      any = true;
      const absl::Status recorded = CatchingLibTorch(
          "recording", [&] { return TryShape(model, resident, shape); });
      if (recorded.ok()) continue;
      shape.step = nullptr;
      if (options_.on_notice) {
        options_.on_notice(
            absl::StrCat(model.identity().model, "/", model.identity().version,
                         ": batches of ", shape.rows,
                         " run as other shapes: ", recorded.message()));
      }
    }
    if (any) ChooseShapes(resident);
  }

  absl::Status TryShape(const Model& model, Resident& resident,
                        Resident::Shape& shape) {
    Record(resident, shape, resident.steps.front());
    at::Tensor x0, x;
    RunProbes(model, resident, shape, &x0, &x);
    bool equal = false;
    ops_->Run([&] {
      equal =
          SameBytes(x0, resident.probe_x0) && SameBytes(x, resident.probe_x);
    });
    if (equal) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(
        "they give other bytes than batches of ", options_.pinned_batch));
  }

  void Record(Resident& resident, Resident::Shape& shape,
              const PinnedStep* neighbour) {
    shape.tried = true;
    ops_->Run([&] {
      shape.step = std::make_unique<PinnedStep>(
          resident.tensor_model, *convolutions_, options_.precision, shape.rows,
          resident.memory, neighbour, *ops_);
    });
  }

  // Leaves x0' and x_t of fixed noise at every step, and measures the shape's
  // cost.
  void RunProbes(const Model& model, const Resident& resident,
                 Resident::Shape& shape, at::Tensor* x0, at::Tensor* x) {
    // A few million values tell any two orders of summation apart.
    constexpr int64_t kProbeValues = int64_t{1} << 22;
    const int64_t probes =
        std::clamp<int64_t>(kProbeValues / resident.numel, 1, kMostProbes);
    const int64_t batches = (probes + shape.rows - 1) / shape.rows;
    const int steps = model.schedule().num_timesteps();
    DeviceRow* rows = static_cast<DeviceRow*>(host_rows_.mutable_data_ptr());
    for (int64_t i = 0; i < batches * shape.rows; ++i) {
      const auto probe = static_cast<uint32_t>(i % probes);
      rows[i] = DrawnRow(model.schedule(), kProbeSeed, probe,
                         static_cast<int>(probe) % steps);
    }
    const auto enqueue = [&](int64_t first) {
      shape.step->Enqueue(
          host_rows_.narrow(0, first * kRowBytes, shape.rows * kRowBytes));
    };
    ops_->Run([&] {
      const auto images = at::dtype(at::kFloat).device(ops_->device());
      const ImageShape s = resident.shape;
      *x0 = at::empty({probes, s.channels, s.height, s.width}, images);
      *x = at::empty_like(*x0);
      for (int64_t first = 0; first < probes; first += shape.rows) {
        enqueue(first);
        const int64_t count = std::min<int64_t>(shape.rows, probes - first);
        x0->narrow(0, first, count)
            .copy_(resident.memory.x0.narrow(0, 0, count));
        x->narrow(0, first, count).copy_(resident.memory.x.narrow(0, 0, count));
      }
    });
    // The first replay of a recording takes longer: timed are later ones.
    constexpr int64_t kTimedSteps = 4;
    const absl::Duration time = ops_->Run([&] {
      for (int64_t i = 0; i < kTimedSteps; ++i) enqueue(0);
    });
    shape.cost = absl::ToDoubleSeconds(time) / kTimedSteps;
  }

  void ChooseShapes(Resident& resident) {
    std::vector<StepShape> usable;
    resident.steps.clear();
    for (const Resident::Shape& shape : resident.shapes) {
      if (shape.step == nullptr) continue;
      usable.push_back({shape.rows, shape.cost});
      resident.steps.push_back(shape.step.get());
    }
    resident.first_step = CheapestFirstShapes(usable, options_.max_batch_size);
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

  // Enqueues the batch as steps of the recorded shapes, and the copies back.
  void Step(const Model& model, Resident& resident,
            absl::Span<const StepRow> rows) {
    batch_steps_.clear();
    padded_rows_ = 0;
    for (int64_t left = static_cast<int64_t>(rows.size()); left > 0;) {
      PinnedStep* step = resident.steps[resident.first_step[left]];
      batch_steps_.push_back(step);
      padded_rows_ += step->rows();
      left -= step->rows();
    }
    FillRows(model, resident, rows);
    const PixelLayout layout(rows, padded_rows_, resident.numel);
    if (host_pixels_.numel() < layout.size()) {
      host_pixels_ = ops_->HostMemory(layout.size());
    }
    int64_t first = 0;
    for (PinnedStep* step : batch_steps_) {
      const int64_t count = step->rows();
      const StepMemory& memory = resident.memory;
      step->Enqueue(host_rows_.narrow(0, first * kRowBytes, count * kRowBytes));
      host_not_finite_.narrow(0, first, count)
          .copy_(memory.not_finite.narrow(0, 0, count), /*non_blocking=*/true);
      CopyBack(layout, PixelLayout::kX8, first, count, memory.x_rgb8);
      CopyBack(layout, PixelLayout::kX32, first, count, memory.x);
      CopyBack(layout, PixelLayout::kPreview8, first, count, memory.x0_rgb8);
      CopyBack(layout, PixelLayout::kPreview32, first, count, memory.x0);
      first += count;
    }
  }

  // A row that begins at x_{t+1} = noise.
  static DeviceRow DrawnRow(const NoiseSchedule& schedule, uint64_t seed,
                            uint32_t image_index, int t) {
    return {seed,
            image_index,
            t,
            /*from=*/nullptr,
            /*from_scale=*/0,
            /*noise_scale=*/1,
            schedule.c1[t],
            schedule.c2[t],
            schedule.stddev[t],
            /*to=*/nullptr};
  }

  void FillRows(const Model& model, Resident& resident,
                absl::Span<const StepRow> rows) {
    const NoiseSchedule& schedule = model.schedule();
    const int first_step = schedule.num_timesteps() - 1;
    DeviceRow* device_rows =
        static_cast<DeviceRow*>(host_rows_.mutable_data_ptr());
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      const int t = row.step;
      DeviceRow& to = device_rows[i];
      to = DrawnRow(schedule, row.seed, row.image_index, t);
      to.to = row_slots_[i].next;
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
    std::fill(device_rows + rows.size(), device_rows + padded_rows_, padding);
  }

  // `count` rows of a step's results, for the batch's rows from `first` on.
  void CopyBack(const PixelLayout& layout, PixelLayout::Kind kind,
                int64_t first, int64_t count, const at::Tensor& from) {
    if (!layout.Wanted(kind)) return;
    host_pixels_
        .narrow(0, layout.Offset(kind, first), count * layout.RowBytes(kind))
        .view(from.scalar_type())
        .copy_(from.narrow(0, 0, count).view({-1}), /*non_blocking=*/true);
  }

  // A NaN equals itself.
  static bool SameBytes(const at::Tensor& a, const at::Tensor& b) {
    return at::equal(a.view(at::kInt), b.view(at::kInt));
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
    const PixelLayout layout(rows, padded_rows_, resident.numel);
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
      bytes += resident->tensor_model.bytes() + resident->memory.bytes() +
               resident->slots.bytes();
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
  const std::vector<int> shape_rows_;  // Ascending.
  const std::unique_ptr<Convolutions> convolutions_;
  // By address: an entry whose model is gone leaves before anyone looks for a
  // new model at that address.
  std::map<const Model*, std::unique_ptr<Resident>> residents_;
  PixelPool pixel_pool_;
  // Of the step that is running; their memory is reused from step to step.
  std::vector<RowSlots> row_slots_;
  std::vector<PinnedStep*> batch_steps_;
  int64_t padded_rows_ = 0;
  StepOutcome outcome_;
  // Host memory that the device copies from and to, reused from step to step.
  at::Tensor host_rows_;        // DeviceRow [padded rows], as uint8
  at::Tensor host_not_finite_;  // int32 [padded rows]
  at::Tensor host_pixels_;      // uint8; see PixelLayout
};

}  // namespace

std::unique_ptr<BatchRunner> NewDeviceBatchRunner(
    const TensorBatchRunnerOptions& options, std::unique_ptr<DeviceOps> ops) {
  return std::make_unique<TensorBatchRunner>(options, std::move(ops));
}

namespace {

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
    return NewDeviceBatchRunner(options, *std::move(ops));
  });
}

}  // namespace ddgan
