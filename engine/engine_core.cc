#include "engine/engine_core.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

absl::Status CheckRange(const char* option, int value, int low, int high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " is ", value, "; allowed are ", low, " to ", high));
}

// "cpu" or "cuda:N".
bool IsDeviceName(std::string_view device) {
  if (device == "cpu") return true;
  constexpr std::string_view kPrefix = "cuda:";
  if (!device.starts_with(kPrefix)) return false;
  device.remove_prefix(kPrefix.size());
  return !device.empty() && device.size() <= 3 &&
         std::all_of(device.begin(), device.end(), absl::ascii_isdigit);
}

// Trajectories of warm-ups. Requests count their ids from 1, so the two never
// meet on a runner.
constexpr TrajectoryId kFirstWarmUpId = TrajectoryId{1} << 63;

absl::Status RunTrajectories(const ServableVersion& version, int count,
                             BatchRunner& runner) {
  std::vector<StepRow> rows(count);
  std::vector<TrajectoryId> ids(count);
  for (int i = 0; i < count; ++i) {
    ids[i] = kFirstWarmUpId + i;
    rows[i].id = ids[i];
    rows[i].image_index = static_cast<uint32_t>(i);
  }
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
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateEngineOptions(const EngineOptions& options) {
  if (options.model_root.empty()) {
    return absl::InvalidArgumentError(
        "model_root is empty; it must name the folder of the models");
  }
  if (!IsDeviceName(options.device)) {
    return absl::InvalidArgumentError(
        absl::StrCat("device is \"", options.device,
                     "\"; allowed are \"cpu\" and \"cuda:N\""));
  }
  if (options.max_batch_wait < absl::ZeroDuration() ||
      options.max_batch_wait > absl::Seconds(1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_batch_wait is ", absl::FormatDuration(options.max_batch_wait),
        "; allowed are 0 to 1s"));
  }
  absl::Status status = CheckRange("cpu_threads", options.cpu_threads, 0, 256);
  status.Update(CheckRange("max_batch_size", options.max_batch_size, 1, 256));
  status.Update(CheckRange("max_queued_images", options.max_queued_images,
                           static_cast<int>(GenerationRequest::kMaxCount),
                           1'000'000));
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

absl::Status WarmUp(const ServableVersion& version, int max_batch_size,
                    BatchRunner& runner) {
  const absl::Status alone = RunTrajectories(version, 1, runner);
  if (!alone.ok()) return alone;
  return RunTrajectories(version, max_batch_size, runner);
}

absl::StatusOr<std::unique_ptr<Engine>> EngineCore::Create(
    const Options& options, std::vector<DevicePool::LaneOptions> lanes,
    std::unique_ptr<VersionSource> source, EngineObserver* observer,
    Clock* clock) {
  // The constructor is private.
  std::unique_ptr<EngineCore> engine(new EngineCore(
      options, lanes.size(), std::move(source), observer, clock));
  absl::StatusOr<std::unique_ptr<DevicePool>> pool =
      DevicePool::Start(std::move(lanes), &engine->scheduler_, observer);
  if (!pool.ok()) return pool.status();
  engine->pool_ = *std::move(pool);
  const absl::Status loaded = engine->registry_.LoadNewest();
  if (!loaded.ok()) return loaded;
  return engine;
}

EngineCore::EngineCore(const Options& options, size_t num_lanes,
                       std::unique_ptr<VersionSource> source,
                       EngineObserver* observer, Clock* clock)
    : scheduler_({options.limits, options.max_queued_images, num_lanes},
                 observer, clock),
      registry_(
          std::move(source),
          [this, max_batch_size = options.limits.max_batch_size](
              const ServableVersion& version) {
            return pool_->RunOnEveryLane([&](BatchRunner& runner) {
              return WarmUp(version, max_batch_size, runner);
            });
          },
          observer, clock) {}

absl::StatusOr<Acceptance> EngineCore::Submit(
    const GenerationRequest& request, std::shared_ptr<GenerationSink> sink) {
  const absl::Status valid = ValidateRequest(request);
  if (!valid.ok()) return valid;
  absl::StatusOr<std::shared_ptr<const ServableVersion>> version =
      registry_.Resolve(request.model, request.version);
  if (!version.ok()) return version.status();
  const absl::StatusOr<RequestId> id =
      scheduler_.Submit(*version, request, std::move(sink));
  if (!id.ok()) return id.status();

  Acceptance acceptance;
  acceptance.id = *id;
  acceptance.identity = (*version)->identity;
  acceptance.shape = (*version)->shape;
  acceptance.num_timesteps = (*version)->num_timesteps;
  return acceptance;
}

void EngineCore::Cancel(RequestId id) { scheduler_.Cancel(id); }

std::vector<ModelVersionStatus> EngineCore::ListModels() const {
  return registry_.List();
}

bool EngineCore::Ready() const {
  return registry_.AnyLive() && !scheduler_.draining();
}

void EngineCore::Drain(absl::Time deadline) { scheduler_.Drain(deadline); }

}  // namespace ddgan
