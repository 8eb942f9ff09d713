#include "engine/engine_core.h"

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
  status.Update(CheckRange("pinned_batch", options.pinned_batch, 1, 256));
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
  if (options.poll_interval < absl::Milliseconds(10) ||
      options.poll_interval > absl::Hours(1)) {
    status.Update(absl::InvalidArgumentError(absl::StrCat(
        "poll_interval is ", absl::FormatDuration(options.poll_interval),
        "; allowed are 10ms to 1h")));
  }
  status.Update(CheckRange("keep_versions", options.keep_versions, 1, 64));
  if (options.max_model_bytes < 0) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("max_model_bytes is ", options.max_model_bytes,
                     "; allowed are 0 and more")));
  }
  const CanaryBounds& bounds = options.canary_bounds;
  if (!(bounds.max_mean_shift >= 0 && bounds.max_mean_shift <= 2)) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("canary_bounds.max_mean_shift is ", bounds.max_mean_shift,
                     "; allowed are 0 to 2")));
  }
  if (!(bounds.max_deviation_ratio >= 1)) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("canary_bounds.max_deviation_ratio is ",
                     bounds.max_deviation_ratio, "; allowed are 1 and more")));
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

absl::StatusOr<std::unique_ptr<Engine>> EngineCore::Create(
    const Options& options, std::vector<LanePool::LaneOptions> lanes,
    std::unique_ptr<VersionSource> source, std::unique_ptr<FolderEvents> events,
    EngineObserver* observer, Clock* clock) {
  // The constructor is private.
  std::unique_ptr<EngineCore> engine(
      new EngineCore(options, std::move(source), observer, clock));
  absl::StatusOr<std::unique_ptr<LanePool>> pool = LanePool::Start(
      std::move(lanes),
      [engine = engine.get()](size_t, BatchRunner& runner) {
        return engine->Probe(runner);
      },
      &engine->scheduler_, observer);
  if (!pool.ok()) return pool.status();
  engine->pool_ = *std::move(pool);
  engine->trial_ = std::make_unique<VersionTrial>(
      options.lane_limits, options.warm_up_every_bucket, options.canary_bounds,
      engine->pool_.get(), observer, clock);
  if (absl::Status status = engine->pins_.Restore(); !status.ok()) {
    return status;
  }
  const absl::StatusOr<absl::Time> loaded = engine->loader_.Reconcile();
  if (!loaded.ok()) return loaded.status();
  engine->watcher_ =
      std::make_unique<VersionWatcher>(&engine->loader_, std::move(events),
                                       options.poll_interval, observer, clock);
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
      registry_(options.registry, observer),
      pins_(options.state_dir, &registry_),
      loader_(
          std::move(source),
          [this](ServableVersion& next, const ServableVersion* live) {
            return trial_->Run(next, live);
          },
          &registry_, observer, clock) {}

absl::Status EngineCore::Probe(BatchRunner& runner) const {
  for (const auto& version : registry_.LoadedVersions()) {
    absl::Status status = WarmUp(*version, {1}).RunAll(runner);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<ImageShape> EngineCore::ShapeOf(
    const std::string& model, std::optional<int64_t> version) const {
  const absl::StatusOr<std::shared_ptr<const ServableVersion>> found =
      registry_.Resolve(model, version);
  if (!found.ok()) return found.status();
  return (*found)->shape;
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

std::vector<ModelStatus> EngineCore::ListModels() const {
  return registry_.List();
}

absl::Status EngineCore::Pin(const std::string& model, int64_t version) {
  return pins_.Pin(model, version);
}

absl::Status EngineCore::Unpin(const std::string& model) {
  return pins_.Unpin(model);
}

absl::StatusOr<int64_t> EngineCore::RollBack(const std::string& model) {
  return pins_.RollBack(model);
}

std::unique_ptr<ModelWatch> EngineCore::WatchModels(
    std::function<void()> listener) {
  return registry_.Watch(std::move(listener));
}

bool EngineCore::Ready() const {
  return registry_.AnyLive() && scheduler_.AnyLaneUp() &&
         !scheduler_.draining();
}

void EngineCore::Drain(absl::Time deadline) {
  loader_.StopLoading();
  scheduler_.Drain(deadline);
}

}  // namespace ddgan
