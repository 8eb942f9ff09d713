#include "engine/engine_core.h"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"
#include "engine/imaging/guide_picture.h"

namespace ddgan {
namespace {

constexpr int64_t kMinQueuedBytes = int64_t{64} << 20;

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
    if (IsCallerWeight(weight)) continue;
    status.Update(absl::InvalidArgumentError(absl::StrCat(
        "caller_weights: the weight of '", caller, "' is ", weight,
        "; allowed are ", kMinCallerWeight, " to ", kMaxCallerWeight)));
  }
  return status;
}

absl::Status ValidateRequest(const GenerationRequest& request,
                             int evaluations) {
  if (request.count < 1 || request.count > GenerationRequest::kMaxCount) {
    return absl::InvalidArgumentError(
        absl::StrCat("count is ", request.count, "; allowed are 1 to ",
                     GenerationRequest::kMaxCount));
  }
  if (!request.noise.empty() && request.noise.size() != request.count) {
    return absl::InvalidArgumentError(
        absl::StrCat("noise is of ", request.noise.size(),
                     " images; allowed are none or count, ", request.count));
  }
  const uint32_t last_allowed =
      std::numeric_limits<uint32_t>::max() - (request.count - 1);
  if (request.noise.empty() && request.first_index > last_allowed) {
    return absl::InvalidArgumentError(
        absl::StrCat("first_index is ", request.first_index, "; with count ",
                     request.count, " allowed are 0 to ", last_allowed));
  }
  if (const std::optional<double> weight = request.caller_weight;
      weight.has_value() && !IsCallerWeight(*weight)) {
    return absl::InvalidArgumentError(
        absl::StrCat("caller_weight is ", *weight, "; allowed are ",
                     kMinCallerWeight, " to ", kMaxCallerWeight));
  }
  if (!request.guide) return absl::OkStatus();
  if (request.guide->steps < 1 || request.guide->steps > evaluations) {
    return absl::InvalidArgumentError(
        absl::StrCat("guide.steps is ", request.guide->steps,
                     "; allowed are 1 to ", evaluations));
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
  engine->pool_ = std::make_unique<LanePool>(
      std::move(lanes),
      LanePool::Probe{
          .versions =
              [engine = engine.get()] {
                return engine->registry_.LoadedVersions();
              },
          .run =
              [](BatchRunner& runner, const ServableVersion& version) {
                return WarmUp(version, {1}).RunAll(runner);
              }},
      &engine->scheduler_, observer, clock);
  engine->supervisor_ = std::make_unique<Supervisor>(
      &engine->scheduler_, engine->pool_.get(), clock);
  if (absl::Status status = engine->pool_->AwaitRunners(); !status.ok()) {
    return status;
  }
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

EngineCore::~EngineCore() {
  if (pool_ != nullptr) Drain(absl::InfinitePast());
}

absl::StatusOr<ResolvedModel> EngineCore::Resolve(
    const std::string& model, std::optional<int64_t> version) const {
  if (version && *version < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("version is ", *version, "; allowed are 1 to ",
                     std::numeric_limits<int64_t>::max()));
  }
  absl::StatusOr<std::shared_ptr<const ServableVersion>> found =
      registry_.Resolve(model, version);
  if (!found.ok()) return found.status();
  const ServableVersion& resolved = **found;
  return ResolvedModel{resolved.identity, resolved.shape,
                       resolved.num_timesteps, resolved.evaluations,
                       *std::move(found)};
}

absl::StatusOr<std::unique_ptr<Reservation>> EngineCore::Reserve(
    const ResolvedModel& model, const GenerationRequest& request) {
  absl::Status valid = ValidateRequest(request, model.evaluations);
  if (valid.ok() && request.guide) {
    valid = CheckGuideShape(request.guide->picture, model.shape,
                            request.guide->fit);
  }
  if (!valid.ok()) return valid;
  return scheduler_.Reserve(model.version, request);
}

absl::StatusOr<Acceptance> EngineCore::Submit(
    std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide,
    std::shared_ptr<GenerationSink> sink) {
  // Reserve gives no others.
  std::unique_ptr<BatchScheduler::Place> own(
      static_cast<BatchScheduler::Place*>(place.release()));
  std::shared_ptr<const std::vector<float>> planes;
  if (own->request().guide) {
    absl::StatusOr<std::vector<float>> fitted =
        FitGuide(*guide, own->version().shape, own->request().guide->fit);
    if (!fitted.ok()) return fitted.status();
    planes = std::make_shared<const std::vector<float>>(*std::move(fitted));
    guide.reset();  // Its bytes are booked no longer than until here.
  }
  return scheduler_.Submit(std::move(own), std::move(planes), std::move(sink));
}

void EngineCore::Cancel(RequestId id) { scheduler_.Cancel(id); }

std::vector<ModelStatus> EngineCore::ListModels() const {
  return registry_.List();
}

std::vector<std::string> EngineCore::ListStrays() const {
  return registry_.ListStrays();
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

absl::Status EngineCore::Liveness() const { return supervisor_->Liveness(); }

void EngineCore::Drain(absl::Time deadline) {
  loader_.StopLoading();
  pool_->EndTasks();  // A trial is one, and its lane may hang in it.
  scheduler_.Drain(deadline);
}

}  // namespace ddgan
