#include "engine/versions/version_trial.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// Trajectories of trials. Requests count their ids from 1, so the two never
// meet on a runner.
constexpr TrajectoryId kFirstTrialId = TrajectoryId{1} << 63;

// `count` trajectories of `seed` from `first_index` on, before their first
// step.
void StartRows(int count, uint64_t seed, int first_index, PixelFormat format,
               std::vector<StepRow>* rows) {
  rows->assign(count, StepRow());
  for (int i = 0; i < count; ++i) {
    (*rows)[i].id = kFirstTrialId + i;
    (*rows)[i].seed = seed;
    (*rows)[i].image_index = static_cast<uint32_t>(first_index + i);
    (*rows)[i].pixel_format = format;
  }
}

void ForgetRows(BatchRunner& runner, const std::vector<StepRow>& rows) {
  std::vector<TrajectoryId> ids;
  for (const StepRow& row : rows) ids.push_back(row.id);
  runner.Forget(ids);
}

// Runs `rows` at `step`; what cannot go on is forgotten. Internal if a row's
// output is not finite, else as BatchRunner::RunStep.
absl::StatusOr<StepOutcome*> RunRows(const ServableVersion& version, int step,
                                     const char* what, BatchRunner& runner,
                                     std::vector<StepRow>& rows) {
  for (StepRow& row : rows) row.step = step;
  absl::StatusOr<StepOutcome*> outcome = runner.RunStep(version.model, rows);
  if (outcome.ok() && (*outcome)->not_finite.empty()) return outcome;
  absl::Status failure = outcome.status();
  if (outcome.ok()) {
    const StepRow& row = rows[(*outcome)->not_finite.front()];
    failure = absl::InternalError(absl::StrCat("the output of seed ", row.seed,
                                               ", index ", row.image_index,
                                               " is not finite"));
  }
  ForgetRows(runner, rows);
  return absl::Status(
      failure.code(),
      absl::StrCat(what, " with a batch of ", rows.size(), " failed at step ",
                   step, ": ", failure.message()));
}

ReloadResult ResultOfSteps(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return ReloadResult::kNoMemory;
    case absl::StatusCode::kUnavailable:  // No lane, or not any more.
      return ReloadResult::kError;
    default:
      return ReloadResult::kStep;
  }
}

}  // namespace

std::vector<int> WarmUpSizes(int max_batch_size, bool every_bucket) {
  std::vector<int> sizes;
  for (int size = 1; size < max_batch_size; size *= 2) {
    sizes.push_back(size);
    if (!every_bucket) break;
  }
  sizes.push_back(max_batch_size);
  return sizes;
}

absl::StatusOr<LanePool::Slice> WarmUp::RunNext(BatchRunner& runner) {
  const int size = sizes_[next_];
  if (steps_done_ == 0) StartRows(size, 0, 0, PixelFormat::kUint8, &rows_);
  const absl::StatusOr<StepOutcome*> outcome =
      RunRows(version_, version_.evaluations - 1 - steps_done_, "warm-up",
              runner, rows_);
  if (!outcome.ok()) return outcome.status();
  const absl::Duration device_time = (*outcome)->device_time;
  fastest_ = std::min(fastest_, device_time);
  if (++steps_done_ == std::min(kWarmUpSteps, version_.evaluations)) {
    if (steps_done_ < version_.evaluations) ForgetRows(runner, rows_);
    version_.costs->Record(size, fastest_);
    ++next_;
    steps_done_ = 0;
    fastest_ = absl::InfiniteDuration();
  }
  return LanePool::Slice{next_ < sizes_.size(), device_time};
}

absl::Status WarmUp::RunAll(BatchRunner& runner) {
  while (true) {
    const absl::StatusOr<LanePool::Slice> slice = RunNext(runner);
    if (!slice.ok()) return slice.status();
    if (!slice->more) return absl::OkStatus();
  }
}

absl::StatusOr<LanePool::Slice> CanaryRun::RunNext(BatchRunner& runner) {
  const int count = std::min(kCanaryImages - images_done_, max_batch_size_);
  if (steps_done_ == 0) {
    StartRows(count, kCanarySeed, images_done_, PixelFormat::kFloat32, &rows_);
  }
  const absl::StatusOr<StepOutcome*> outcome =
      RunRows(version_, version_.evaluations - 1 - steps_done_, "canary",
              runner, rows_);
  if (!outcome.ok()) return outcome.status();
  if (++steps_done_ == version_.evaluations) {
    const ImageShape& shape = version_.shape;
    const size_t numel = shape.numel();
    pixels_.resize(numel * kCanaryImages);
    for (const FinishedImage& image : (*outcome)->finished) {
      if (image.row >= rows_.size() ||
          image.pixels.size() != numel * sizeof(float)) {
        return absl::InternalError(
            "canary: the runner's results make no sense");
      }
      std::memcpy(&pixels_[numel * (images_done_ + image.row)],
                  image.pixels.data(), image.pixels.size());
    }
    images_done_ += count;
    steps_done_ = 0;
  }
  return LanePool::Slice{images_done_ < kCanaryImages, (*outcome)->device_time};
}

VersionTrial::VersionTrial(std::vector<BatchLimits> lane_limits,
                           bool every_bucket, CanaryBounds bounds,
                           LanePool* pool, EngineObserver* observer,
                           Clock* clock)
    : lane_limits_(std::move(lane_limits)),
      every_bucket_(every_bucket),
      bounds_(bounds),
      pool_(pool),
      observer_(observer),
      clock_(clock) {}

VersionVerdict VersionTrial::Run(ServableVersion& next,
                                 const ServableVersion* live) {
  const absl::Time start = clock_->Now();
  if (const absl::Status warm = WarmUpEveryLane(next); !warm.ok()) {
    return {ResultOfSteps(warm), warm};
  }
  const absl::Time warmed_up = clock_->Now();
  observer_->OnReloadPhase(ReloadPhase::kWarmUp, warmed_up - start);

  const absl::StatusOr<std::vector<float>> pixels = MakeCanary(next);
  if (!pixels.ok()) return {ResultOfSteps(pixels.status()), pixels.status()};
  absl::StatusOr<CanaryStatistics> statistics =
      MeasureCanary(*pixels, next.shape, kCanaryImages);
  if (!statistics.ok()) return {ReloadResult::kCanary, statistics.status()};
  if (live != nullptr) {
    const absl::Status near =
        CompareCanaries(live->canary, *statistics, bounds_);
    if (!near.ok()) return {ReloadResult::kCanary, near};
  }
  next.canary = *std::move(statistics);
  observer_->OnReloadPhase(ReloadPhase::kCanary, clock_->Now() - warmed_up);
  return {};
}

absl::Status VersionTrial::WarmUpEveryLane(const ServableVersion& next) {
  // Each is touched by its own lane's thread, which keeps them all should it
  // hang.
  auto lanes = std::make_shared<std::vector<WarmUp>>();
  for (const BatchLimits& limits : lane_limits_) {
    lanes->emplace_back(next,
                        WarmUpSizes(limits.max_batch_size, every_bucket_));
  }
  return pool_->RunOnEveryLane([lanes](size_t lane, BatchRunner& runner) {
    return (*lanes)[lane].RunNext(runner);
  });
}

absl::StatusOr<std::vector<float>> VersionTrial::MakeCanary(
    const ServableVersion& next) {
  int smallest = kCanaryImages;
  for (const BatchLimits& limits : lane_limits_) {
    smallest = std::min(smallest, limits.max_batch_size);
  }
  // The first lane that comes makes it; equal weights make equal images. It
  // keeps this should it hang.
  static constexpr int kNobody = -1;
  struct Shared {
    CanaryRun run;
    std::atomic<int> maker = kNobody;
  };
  const std::shared_ptr<Shared> shared(
      new Shared{.run = CanaryRun(next, smallest)});
  const absl::Status status = pool_->RunOnEveryLane(
      [shared](size_t lane,
               BatchRunner& runner) -> absl::StatusOr<LanePool::Slice> {
        int expected = kNobody;
        const int self = static_cast<int>(lane);
        if (!shared->maker.compare_exchange_strong(expected, self) &&
            expected != self) {
          return LanePool::Slice();
        }
        return shared->run.RunNext(runner);
      });
  if (!status.ok()) return status;
  return shared->run.pixels();
}

}  // namespace ddgan
