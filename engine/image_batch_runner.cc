#include "engine/image_batch_runner.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/model/model.h"
#include "engine/sampler.h"

namespace ddgan {
namespace {

using Image = std::vector<float>;  // Planes [C, S, S].

class ImageBatchRunner : public BatchRunner {
 public:
  explicit ImageBatchRunner(const ImageBatchRunnerOptions& options)
      : options_(options), sampler_(options.threads) {}

  absl::StatusOr<StepOutcome> RunStep(const std::shared_ptr<const Model>& model,
                                      absl::Span<const StepRow> rows) override {
    const absl::Time start = absl::Now();
    if (absl::Status status = Prepare(*model, rows); !status.ok()) {
      return status;
    }
    if (absl::Status status = sampler_.Step(*model, sampler_rows_);
        !status.ok()) {
      return status;
    }
    // From here on nothing fails: every row moves.
    StepOutcome outcome;
    const ImageShape shape = model->shape();
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      if (row.preview) {
        outcome.previews.push_back({i, ToPixels(x0_[i], shape, row)});
      }
      if (row.step == 0) {
        outcome.finished.push_back({i, ToPixels(next_[i], shape, row)});
        Release(row.id);
      } else {
        std::swap(in_flight_[row.id], next_[i]);
      }
    }
    const size_t images = in_flight_.size() + next_.size() + spare_.size();
    outcome.device_memory_bytes =
        model->bytes() +
        static_cast<int64_t>(images * sizeof(float) * shape.channels *
                             shape.height * shape.width);
    outcome.device_time = absl::Now() - start;
    return outcome;
  }

  void Forget(absl::Span<const TrajectoryId> ids) override {
    for (const TrajectoryId id : ids) Release(id);
  }

 private:
  // Points sampler_rows_ at each row's x_{t+1} and at a fresh image for x_t, so
  // that a step that fails has changed nothing.
  absl::Status Prepare(const Model& model, absl::Span<const StepRow> rows) {
    if (rows.empty() ||
        rows.size() > static_cast<size_t>(options_.max_batch_size)) {
      return absl::InternalError(absl::StrCat("a batch of ", rows.size(),
                                              " rows; the lane takes 1 to ",
                                              options_.max_batch_size));
    }
    const ImageShape shape = model.shape();
    const size_t numel =
        static_cast<size_t>(shape.channels) * shape.height * shape.width;
    const int first_step = model.config().num_timesteps - 1;
    if (next_.size() < rows.size()) next_.resize(rows.size());
    if (x0_.size() < rows.size()) x0_.resize(rows.size());
    sampler_rows_.clear();
    size_t started = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = rows[i];
      const auto found = in_flight_.find(row.id);
      const bool starts = row.step == first_step || row.guide != nullptr;
      if (row.step < 0 || row.step > first_step ||
          (!starts && found == in_flight_.end())) {
        return absl::InternalError(absl::StrCat("trajectory ", row.id,
                                                " cannot take step ", row.step,
                                                " of ", first_step + 1));
      }
      if (starts) ++started;
      if (next_[i].size() != numel) next_[i] = TakeSpare(numel);
      if (row.preview) x0_[i].resize(numel);
      sampler_rows_.push_back(
          {.seed = row.seed,
           .image_index = row.image_index,
           .step = row.step,
           .x_next = starts ? nullptr : found->second.data(),
           .guide = row.guide,
           .x = next_[i].data(),
           .x0 = row.preview ? x0_[i].data() : nullptr});
    }
    if (in_flight_.size() + started >
        static_cast<size_t>(options_.max_trajectories)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the lane holds ", in_flight_.size(),
                       " images, at most ", options_.max_trajectories));
    }
    return absl::OkStatus();
  }

  static std::vector<uint8_t> ToPixels(const Image& image,
                                       const ImageShape& shape,
                                       const StepRow& row) {
    std::vector<uint8_t> pixels;
    if (row.pixel_format == PixelFormat::kFloat32) {
      pixels.resize(image.size() * sizeof(float));
      std::memcpy(pixels.data(), image.data(), pixels.size());
    } else {
      pixels.resize(image.size());
      ToRgb8Cpu(image, shape, absl::MakeSpan(pixels));
    }
    return pixels;
  }

  Image TakeSpare(size_t numel) {
    while (!spare_.empty()) {
      Image image = std::move(spare_.back());
      spare_.pop_back();
      if (image.size() == numel) return image;
    }
    return Image(numel);
  }

  void Release(TrajectoryId id) {
    const auto found = in_flight_.find(id);
    if (found == in_flight_.end()) return;
    if (spare_.size() < static_cast<size_t>(options_.max_batch_size)) {
      spare_.push_back(std::move(found->second));
    }
    in_flight_.erase(found);
  }

  const ImageBatchRunnerOptions options_;
  Sampler sampler_;
  absl::flat_hash_map<TrajectoryId, Image> in_flight_;  // x_{t+1} of each
  // Reused from step to step: where the sampler writes, its rows, and images of
  // trajectories that ended.
  std::vector<Image> next_;
  std::vector<Image> x0_;  // Of rows that want a preview.
  std::vector<SamplerRow> sampler_rows_;
  std::vector<Image> spare_;
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
  return std::make_unique<ImageBatchRunner>(options);
}

}  // namespace ddgan
