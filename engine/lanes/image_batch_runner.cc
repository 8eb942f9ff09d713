#include "engine/lanes/image_batch_runner.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/base/libtorch_errors.h"
#include "engine/base/pixel_buffer.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/lanes/cpu/sampler.h"
#include "engine/lanes/trajectory_map.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

class ImageBatchRunner : public BatchRunner {
 public:
  explicit ImageBatchRunner(const ImageBatchRunnerOptions& options)
      : options_(options), sampler_(options.threads) {}

  absl::StatusOr<StepOutcome*> RunStep(
      const std::shared_ptr<const Model>& model,
      absl::Span<const StepRow> rows) override {
    const absl::Time start = absl::Now();
    outcome_.Clear();
    // All memory is taken before the step, so that nothing can fail after it.
    const absl::Status status = CatchingLibTorch("denoising step", [&] {
      absl::Status valid = Validate(*model, rows);
      if (!valid.ok()) return valid;
      Allot(model, rows);
      return sampler_.Step(*model, sampler_rows_);
    });
    if (!status.ok()) {
      Return(rows);
      return status;
    }
    Commit(model->shape(), rows);
    outcome_.device_memory_bytes = MemoryBytes();
    outcome_.device_time = absl::Now() - start;
    return &outcome_;
  }

  void Forget(absl::Span<const TrajectoryId> ids) override {
    for (const TrajectoryId id : ids) in_flight_.Remove(id);
  }

 private:
  // What one row of the batch holds until the step is done.
  struct RowMemory {
    PixelBuffer x;       // Receives x_t.
    PixelBuffer x0;      // Receives x0', where a preview is wanted.
    bool added = false;  // The trajectory is new in in_flight_.
  };

  // Weights that the lane has run. Holds no model.
  struct KnownModel {
    std::weak_ptr<const Model> model;
    int64_t bytes = 0;
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
    const int first_step = model.config().num_timesteps - 1;
    size_t started = 0;
    for (const StepRow& row : rows) {
      const bool starts = Starts(row, first_step);
      if (row.step < 0 || row.step > first_step ||
          (!starts && in_flight_.Find(row.id) == nullptr)) {
        return absl::InternalError(absl::StrCat("trajectory ", row.id,
                                                " cannot take step ", row.step,
                                                " of ", first_step + 1));
      }
      if (starts) ++started;
    }
    if (in_flight_.size() + started >
        static_cast<size_t>(options_.max_trajectories)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the lane holds ", in_flight_.size(),
                       " images, at most ", options_.max_trajectories));
    }
    return absl::OkStatus();
  }

  // Takes memory for everything that the step will leave and points
  // sampler_rows_ at it, so that a step that fails has changed nothing.
  void Allot(const std::shared_ptr<const Model>& model,
             absl::Span<const StepRow> rows) {
    const int first_step = model->config().num_timesteps - 1;
    const ImageShape shape = model->shape();
    const size_t numel =
        size_t{1} * shape.channels * shape.height * shape.width;
    const size_t bytes = numel * sizeof(float);
    AddModel(model);
    // Twice what a batch takes: x_t and x0' of every row.
    pool_.Keep(4 * static_cast<size_t>(options_.max_batch_size) * bytes);
    sampler_rows_.clear();
    row_memory_.reserve(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      RowMemory& memory = row_memory_.emplace_back();
      memory.x = pool_.Take(bytes);
      if (row.preview) {
        memory.x0 = pool_.Take(bytes);
        outcome_.previews.push_back({i, RoomForBytes(row, numel)});
      }
      if (row.step == 0) {
        outcome_.finished.push_back({i, RoomForBytes(row, numel)});
      } else {
        memory.added = in_flight_.Add(row.id);
      }
      sampler_rows_.push_back(
          {.seed = row.seed,
           .image_index = row.image_index,
           .step = row.step,
           .x_next = Starts(row, first_step)
                         ? nullptr
                         : in_flight_.Find(row.id)->floats(),
           .guide = row.guide,
           .x = memory.x.floats(),
           .x0 = memory.x0.floats()});
    }
  }

  // Floats need none: their planes themselves are handed out.
  PixelBuffer RoomForBytes(const StepRow& row, size_t numel) {
    return row.pixel_format == PixelFormat::kUint8 ? pool_.Take(numel)
                                                   : PixelBuffer();
  }

  void Return(absl::Span<const StepRow> rows) {
    for (size_t i = 0; i < row_memory_.size(); ++i) {
      if (row_memory_[i].added) in_flight_.Remove(rows[i].id);
    }
    row_memory_.clear();
    outcome_.Clear();
  }

  // Every row moves. Needs no memory.
  void Commit(const ImageShape& shape, absl::Span<const StepRow> rows) {
    auto preview = outcome_.previews.begin();
    auto finished = outcome_.finished.begin();
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      RowMemory& memory = row_memory_[i];
      if (row.preview) {
        ToPixels(memory.x0, shape, row.pixel_format, preview++->pixels);
      }
      if (row.step == 0) {
        ToPixels(memory.x, shape, row.pixel_format, finished++->pixels);
        in_flight_.Remove(row.id);
      } else {
        *in_flight_.Find(row.id) = std::move(memory.x);
      }
    }
    row_memory_.clear();
  }

  static void ToPixels(PixelBuffer& planes, const ImageShape& shape,
                       PixelFormat format, PixelBuffer& pixels) {
    if (format == PixelFormat::kFloat32) {
      pixels = std::move(planes);
    } else {
      ToRgb8Cpu({planes.floats(), pixels.size()}, shape,
                {pixels.data(), pixels.size()});
    }
  }

  void AddModel(const std::shared_ptr<const Model>& model) {
    bool known = false;
    std::erase_if(models_, [&](const KnownModel& entry) {
      known |=
          !entry.model.owner_before(model) && !model.owner_before(entry.model);
      return entry.model.expired();
    });
    if (!known) models_.push_back({model, model->bytes()});
  }

  int64_t MemoryBytes() const {
    size_t bytes = pool_.free_bytes();
    for (const auto& [id, x] : in_flight_) bytes += x.size();
    for (const KnownModel& entry : models_) bytes += entry.bytes;
    return static_cast<int64_t>(bytes);
  }

  const ImageBatchRunnerOptions options_;
  Sampler sampler_;
  std::vector<KnownModel> models_;
  // Planes [C, S, S] in float32, and bytes of finished images.
  PixelPool pool_;
  TrajectoryMap<PixelBuffer> in_flight_;  // x_{t+1} of each
  // Of the step that is running; their memory is reused from step to step.
  std::vector<RowMemory> row_memory_;
  std::vector<SamplerRow> sampler_rows_;
  StepOutcome outcome_;
};

absl::Status CheckRange(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, " is ", value, ", must be in [", low, ", ", high, "]"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchRunner>> CreateImageBatchRunner(
    const ImageBatchRunnerOptions& options) {
  if (options.device != "cpu") {
    return absl::UnimplementedError(absl::StrCat(
        "device is '", options.device, "', this build serves on: cpu"));
  }
  for (const absl::Status& status :
       {CheckRange("threads", options.threads, 1, 256),
        CheckRange("max_batch_size", options.max_batch_size, 1, 256),
        CheckRange("max_trajectories", options.max_trajectories,
                   options.max_batch_size, 1'000'000)}) {
    if (!status.ok()) return status;
  }
  using Created = absl::StatusOr<std::unique_ptr<BatchRunner>>;
  return CatchingLibTorch(options.device, [&]() -> Created {
    return std::make_unique<ImageBatchRunner>(options);
  });
}

}  // namespace ddgan
