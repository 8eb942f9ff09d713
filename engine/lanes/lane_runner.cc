#include "engine/lanes/lane_runner.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"
#include "engine/base/pixel_buffer.h"
#include "engine/lanes/trajectory_map.h"

namespace ddgan {
namespace {

class LaneRunner : public BatchRunner {
 public:
  LaneRunner(const LaneLimits& limits, std::unique_ptr<StepBackend> backend)
      : limits_(limits), backend_(std::move(backend)) {}

  absl::StatusOr<StepOutcome*> RunStep(
      const std::shared_ptr<const Model>& model,
      absl::Span<const StepRow> rows) override {
    DropUnusedModels();
    outcome_.Clear();
    backend_rows_.clear();
    HeldModel* held = nullptr;
    // All memory is taken before the step, so that nothing can fail after it.
    const absl::Status status =
        CatchingLibTorch("denoising step", [&]() -> absl::Status {
          absl::StatusOr<HeldModel*> found = Find(model);
          if (!found.ok()) return found.status();
          held = *found;
          absl::Status valid = Validate(*held, rows);
          if (!valid.ok()) return valid;
          Allot(*held, rows);
          absl::StatusOr<absl::Duration> time =
              held->on_device->Step(*model, absl::MakeSpan(backend_rows_));
          if (!time.ok()) return time.status();
          outcome_.device_time = *time;
          return absl::OkStatus();
        });
    if (!status.ok()) {
      if (held != nullptr) Return(*held, rows);
      return status;
    }
    Commit(*held, rows);
    outcome_.device_memory_bytes = MemoryBytes();
    return &outcome_;
  }

  void Forget(absl::Span<const TrajectoryId> ids) override {
    DropUnusedModels();
    for (auto& [model, held] : models_) {
      for (const TrajectoryId id : ids) {
        const ImageSlot* const x = held.in_flight.Find(id);
        if (x == nullptr) continue;
        held.on_device->GiveSlot(*x);
        held.in_flight.Remove(id);
      }
    }
  }

 private:
  struct HeldModel {
    std::weak_ptr<const Model> model;
    std::unique_ptr<DeviceModel> on_device;
    TrajectoryMap in_flight;  // x_{t+1} of each; kNoSlot in its first step.
  };

  static bool Starts(const StepRow& row, const DeviceModel& model) {
    return row.step == model.evaluations() - 1 || row.guide != nullptr;
  }

  absl::StatusOr<HeldModel*> Find(const std::shared_ptr<const Model>& model) {
    const auto found = models_.find(model.get());
    if (found != models_.end()) return &found->second;
    absl::StatusOr<std::unique_ptr<DeviceModel>> on_device =
        backend_->Load(*model);
    if (!on_device.ok()) return on_device.status();
    HeldModel& held = models_[model.get()];
    held.model = model;
    held.on_device = *std::move(on_device);
    return &held;
  }

  absl::Status Validate(HeldModel& held, absl::Span<const StepRow> rows) {
    if (rows.empty() ||
        rows.size() > static_cast<size_t>(limits_.max_batch_size)) {
      return absl::InternalError(absl::StrCat("a batch of ", rows.size(),
                                              " rows; the lane takes 1 to ",
                                              limits_.max_batch_size));
    }
    size_t in_flight = 0;
    for (const auto& [model, other] : models_) {
      in_flight += other.in_flight.size();
    }
    const int steps = held.on_device->evaluations();
    for (const StepRow& row : rows) {
      const bool known = held.in_flight.Find(row.id) != nullptr;
      if (row.step < 0 || row.step >= steps ||
          (!known && !Starts(row, *held.on_device))) {
        return absl::InternalError(absl::StrCat("trajectory ", row.id,
                                                " cannot take step ", row.step,
                                                " of ", steps));
      }
      if (!known) ++in_flight;
    }
    if (in_flight > static_cast<size_t>(limits_.max_trajectories)) {
      return absl::ResourceExhaustedError(absl::StrCat(
          rows.size(), " rows would make ", in_flight,
          " images on the lane, at most ", limits_.max_trajectories));
    }
    return absl::OkStatus();
  }

  // Takes memory for everything that the step will leave, and says in
  // backend_rows_ where it is.
  void Allot(HeldModel& held, absl::Span<const StepRow> rows) {
    DeviceModel& on_device = *held.on_device;
    const ImageShape shape = on_device.shape();
    const size_t numel = shape.numel();
    // Twice what a batch takes: an image and a preview of every row.
    backend_->pixel_pool().Keep(4 *
                                static_cast<size_t>(limits_.max_batch_size) *
                                numel * sizeof(float));
    const auto add_pixels = [&](size_t i, std::vector<FinishedImage>& images) {
      const size_t element =
          rows[i].pixel_format == PixelFormat::kUint8 ? 1 : sizeof(float);
      images.push_back({i, backend_->pixel_pool().Take(numel * element)});
      return images.back().pixels.data();
    };
    outcome_.not_finite.reserve(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      BackendRow& to = backend_rows_.emplace_back();
      to.seed = row.seed;
      to.image_index = row.image_index;
      to.step = row.step;
      to.guide = row.guide;
      to.pixel_format = row.pixel_format;
      if (!Starts(row, on_device)) to.from = *held.in_flight.Find(row.id);
      if (row.preview) to.preview = add_pixels(i, outcome_.previews);
      if (row.step == 0) {
        to.image = add_pixels(i, outcome_.finished);
      } else {
        to.to = on_device.TakeSlot();
        held.in_flight.Add(row.id);
      }
    }
  }

  // No row moves: gives back what Allot took.
  void Return(HeldModel& held, absl::Span<const StepRow> rows) {
    for (size_t i = 0; i < backend_rows_.size(); ++i) {
      held.on_device->GiveSlot(backend_rows_[i].to);
      const ImageSlot* const x = held.in_flight.Find(rows[i].id);
      if (x != nullptr && *x == kNoSlot) held.in_flight.Remove(rows[i].id);
    }
    outcome_.Clear();
  }

  // Every row moves, or ends where its output is not finite. Needs no memory.
  void Commit(HeldModel& held, absl::Span<const StepRow> rows) {
    DeviceModel& on_device = *held.on_device;
    for (size_t i = 0; i < rows.size(); ++i) {
      ImageSlot next = backend_rows_[i].to;
      if (backend_rows_[i].not_finite) {
        outcome_.not_finite.push_back(i);
        on_device.GiveSlot(next);
        next = kNoSlot;
      }
      ImageSlot* const x = held.in_flight.Find(rows[i].id);
      if (x == nullptr) continue;  // One step was all.
      on_device.GiveSlot(*x);
      *x = next;
      if (next == kNoSlot) held.in_flight.Remove(rows[i].id);
    }
    if (outcome_.not_finite.empty()) return;
    const auto of_ended_row = [&](const FinishedImage& image) {
      return backend_rows_[image.row].not_finite;
    };
    std::erase_if(outcome_.finished, of_ended_row);
    std::erase_if(outcome_.previews, of_ended_row);
  }

  int64_t MemoryBytes() const {
    int64_t bytes = backend_->spare_bytes();
    for (const auto& [model, held] : models_) {
      bytes += held.on_device->bytes();
    }
    return bytes;
  }

  void DropUnusedModels() {
    std::erase_if(models_, [](const auto& entry) {
      return entry.second.model.expired();
    });
  }

  const LaneLimits limits_;
  const std::unique_ptr<StepBackend> backend_;
  // By address: an entry whose model is gone leaves before anyone looks for a
  // new model at that address.
  std::map<const Model*, HeldModel> models_;
  // Of the step that is running; their memory is reused from step to step.
  std::vector<BackendRow> backend_rows_;
  StepOutcome outcome_;
};

}  // namespace

std::unique_ptr<BatchRunner> NewLaneRunner(
    const LaneLimits& limits, std::unique_ptr<StepBackend> backend) {
  return std::make_unique<LaneRunner>(limits, std::move(backend));
}

}  // namespace ddgan
