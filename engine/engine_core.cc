#include "engine/engine_core.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/imaging/guide_picture.h"

namespace ddgan {
namespace {

absl::Status CheckRange(const char* option, int value, int low, int high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " is ", value, "; allowed are ", low, " to ", high));
}

constexpr int64_t kMinQueuedBytes = int64_t{64} << 20;

// The guide's planes for `version`'s images.
absl::StatusOr<std::vector<float>> PrepareGuide(
    const Guide& guide, const ServableVersion& version) {
  if (guide.steps < 1 || guide.steps > version.num_timesteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("guide.steps is ", guide.steps, "; allowed are 1 to ",
                     version.num_timesteps));
  }
  return FitGuide(*guide.picture, version.shape, guide.fit);
}

// Trajectories of warm-ups. Requests count their ids from 1, so the two never
// meet on a runner.
constexpr TrajectoryId kFirstWarmUpId = TrajectoryId{1} << 63;

// Records the fastest step: the first ones also allocate and compile.
absl::Status RunTrajectories(const ServableVersion& version, int count,
                             BatchRunner& runner) {
  std::vector<StepRow> rows(count);
  std::vector<TrajectoryId> ids(count);
  for (int i = 0; i < count; ++i) {
    ids[i] = kFirstWarmUpId + i;
    rows[i].id = ids[i];
    rows[i].image_index = static_cast<uint32_t>(i);
  }
  absl::Duration fastest = absl::InfiniteDuration();
  for (int step = version.num_timesteps - 1; step >= 0; --step) {
    for (StepRow& row : rows) row.step = step;
    const absl::StatusOr<StepOutcome> outcome =
        runner.RunStep(version.model, rows);
    if (!outcome.ok()) {
      runner.Forget(ids);
      return absl::Status(
          outcome.status().code(),
          absl::StrCat("warm-up with a batch of ", count, " failed at step ",
                       step, ": ", outcome.status().message()));
    }
    fastest = std::min(fastest, outcome->device_time);
  }
  version.costs->Record(count, fastest);
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateEngineOptions(const EngineOptions& options) {
  if (options.model_root.empty()) {
    return absl::InvalidArgumentError(
        "model_root is empty; it must name the folder of the models");
  }
  for (absl::Duration wait : options.max_batch_waits) {
    if (wait < absl::ZeroDuration() || wait > absl::Seconds(1)) {
      return absl::InvalidArgumentError(absl::StrCat("max_batch_wait is ",
                                                     absl::FormatDuration(wait),
                                                     "; allowed are 0 to 1s"));
    }
  }
  absl::Status status = CheckRange("cpu_threads", options.cpu_threads, 0, 256);
  for (int size : options.max_batch_sizes) {
    status.Update(CheckRange("max_batch_size", size, 1, 256));
  }
  status.Update(CheckRange("max_queued_images", options.max_queued_images,
                           static_cast<int>(GenerationRequest::kMaxCount),
                           1'000'000));
  if (options.max_queued_bytes < kMinQueuedBytes) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("max_queued_bytes is ", options.max_queued_bytes,
                     "; allowed are ", kMinQueuedBytes, " and more")));
  }
  for (const auto& [caller, weight] : options.caller_weights) {
    if (weight > 0 && weight <= 1000) continue;
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("caller_weights: the weight of '", caller, "' is ", weight,
                     "; allowed are more than 0 to 1000")));
  }
  return status;
}

absl::Status ValidateRequest(const GenerationRequest& request) {
  if (request.count < 1 || request.count > GenerationRequest::kMaxCount) {
    return absl::InvalidArgumentError(
        absl::StrCat("count is ", request.count, "; allowed are 1 to ",
                     GenerationRequest::kMaxCount));
  }
  const uint32_t last_allowed =
      std::numeric_limits<uint32_t>::max() - (request.count - 1);
  if (request.first_index > last_allowed) {
    return absl::InvalidArgumentError(
        absl::StrCat("first_index is ", request.first_index, "; with count ",
                     request.count, " allowed are 0 to ", last_allowed));
  }
  if (request.version && *request.version < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("version is ", *request.version, "; allowed are 1 to ",
                     std::numeric_limits<int64_t>::max()));
  }
  return absl::OkStatus();
}

std::vector<int> WarmUpSizes(int max_batch_size, bool every_bucket) {
  std::vector<int> sizes;
  for (int size = 1; size < max_batch_size; size *= 2) {
    sizes.push_back(size);
    if (!every_bucket) break;
  }
  sizes.push_back(max_batch_size);
  return sizes;
}

absl::Status WarmUp(const ServableVersion& version, absl::Span<const int> sizes,
                    BatchRunner& runner) {
  for (int size : sizes) {
    absl::Status status = RunTrajectories(version, size, runner);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Engine>> EngineCore::Create(
    const Options& options, std::vector<DevicePool::LaneOptions> lanes,
    std::unique_ptr<VersionSource> source, EngineObserver* observer,
    Clock* clock) {
  // The constructor is private.
  std::unique_ptr<EngineCore> engine(
      new EngineCore(options, std::move(source), observer, clock));
  absl::StatusOr<std::unique_ptr<DevicePool>> pool = DevicePool::Start(
      std::move(lanes),
      [engine = engine.get()](size_t, BatchRunner& runner) {
        return engine->Probe(runner);
      },
      &engine->scheduler_, observer);
  if (!pool.ok()) return pool.status();
  engine->pool_ = *std::move(pool);
  const absl::Status loaded = engine->registry_.LoadNewest();
  if (!loaded.ok()) return loaded;
  return engine;
}

EngineCore::EngineCore(const Options& options,
                       std::unique_ptr<VersionSource> source,
                       EngineObserver* observer, Clock* clock)
    : scheduler_({.lane_limits = options.lane_limits,
                  .max_queued_images = options.max_queued_images,
                  .max_queued_bytes = options.max_queued_bytes,
                  .caller_weights = options.caller_weights},
                 observer, clock),
      registry_(
          std::move(source),
          [this, limits = options.lane_limits,
           every_bucket =
               options.warm_up_every_bucket](const ServableVersion& version) {
            return pool_->RunOnEveryLane([&](size_t lane, BatchRunner& runner) {
              return WarmUp(
                  version,
                  WarmUpSizes(limits[lane].max_batch_size, every_bucket),
                  runner);
            });
          },
          observer, clock) {}

absl::Status EngineCore::Probe(BatchRunner& runner) const {
  for (const auto& version : registry_.LiveVersions()) {
    absl::Status status = WarmUp(*version, {1}, runner);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<Acceptance> EngineCore::Submit(
    const GenerationRequest& request, std::shared_ptr<GenerationSink> sink) {
  const absl::Status valid = ValidateRequest(request);
  if (!valid.ok()) return valid;
  absl::StatusOr<std::shared_ptr<const ServableVersion>> version =
      registry_.Resolve(request.model, request.version);
  if (!version.ok()) return version.status();
  std::shared_ptr<const std::vector<float>> guide;
  if (request.guide) {
    absl::StatusOr<std::vector<float>> planes =
        PrepareGuide(*request.guide, **version);
    if (!planes.ok()) return planes.status();
    guide = std::make_shared<const std::vector<float>>(*std::move(planes));
  }
  const absl::StatusOr<BatchScheduler::Ticket> ticket =
      scheduler_.Submit(*version, request, std::move(sink), std::move(guide));
  if (!ticket.ok()) return ticket.status();

  Acceptance acceptance;
  acceptance.id = ticket->id;
  acceptance.identity = (*version)->identity;
  acceptance.shape = (*version)->shape;
  acceptance.num_timesteps = (*version)->num_timesteps;
  acceptance.images_ahead = ticket->images_ahead;
  acceptance.expected_start = ticket->expected_start;
  return acceptance;
}

void EngineCore::Cancel(RequestId id) { scheduler_.Cancel(id); }

std::vector<ModelVersionStatus> EngineCore::ListModels() const {
  return registry_.List();
}

bool EngineCore::Ready() const {
  return registry_.AnyLive() && scheduler_.AnyLaneUp() &&
         !scheduler_.draining();
}

void EngineCore::Drain(absl::Time deadline) { scheduler_.Drain(deadline); }

}  // namespace ddgan
