#include "server/prometheus_observer.h"

#include <algorithm>
#include <cstddef>
#include <memory>

#include "absl/strings/str_cat.h"
#include "engine/step_costs.h"
#include "prometheus/text_serializer.h"
#include "server/build_version.h"

namespace ddgan {
namespace {

using prometheus::Histogram;

// Bounds in seconds. Steps take half a millisecond on a GPU and seconds on a
// busy CPU; requests add queue, encoding and a count of up to 64.
const Histogram::BucketBoundaries kStepSeconds = {
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,
    0.125,  0.25,  0.5,   1,     2,     4,     8,     16};
const Histogram::BucketBoundaries kRequestSeconds = {
    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};
const Histogram::BucketBoundaries kQueueSeconds = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
    0.2,    0.5,   1,     2,     5,    10,   20,   50};
const Histogram::BucketBoundaries kEncodeSeconds = {
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};
const Histogram::BucketBoundaries kReloadSeconds = {0.05, 0.1, 0.2, 0.5, 1,  2,
                                                    5,    10,  20,  50,  100};
const Histogram::BucketBoundaries kBatchSizes = {1,  2,  4,   8,  16,
                                                 32, 64, 128, 256};

const char* LabelOf(RejectReason reason) {
  switch (reason) {
    case RejectReason::kQueueFull:
      return "queue_full";
    case RejectReason::kDeadline:
      return "deadline";
    case RejectReason::kUnmeetableDeadline:
      return "deadline_unmeetable";
    case RejectReason::kDraining:
      return "draining";
    case RejectReason::kNoDevice:
      return "no_device";
  }
  return "unknown";
}
// The server's own reason beside the engine's.
constexpr char kEncoderFullLabel[] = "encoder_full";

const char* LabelOf(WasteReason reason) {
  switch (reason) {
    case WasteReason::kCancelled:
      return "cancelled";
    case WasteReason::kDeadline:
      return "deadline";
    case WasteReason::kShutdown:
      return "shutdown";
    case WasteReason::kStepFailed:
      return "step_failed";
    case WasteReason::kReplayed:
      return "replayed";
  }
  return "unknown";
}

// "2" if every row is at t = 2. Rows at different t share one generator call,
// whose time belongs to none of them alone: such a call is "mixed".
std::string StepLabel(absl::Span<const int> steps) {
  const bool uniform =
      std::all_of(steps.begin(), steps.end(),
                  [&steps](int step) { return step == steps.front(); });
  return uniform ? absl::StrCat(steps.front()) : "mixed";
}

prometheus::Family<prometheus::Counter>& Counters(
    prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Gauge>& Gauges(prometheus::Registry& registry,
                                              const char* name,
                                              const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<Histogram>& Histograms(prometheus::Registry& registry,
                                          const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

const char* NameOf(RpcMethod method) {
  switch (method) {
    case RpcMethod::kGenerate:
      return "Generate";
    case RpcMethod::kGenerateStream:
      return "GenerateStream";
  }
  return "unknown";
}

PrometheusObserver::PrometheusObserver(Clock* clock)
    : clock_(clock),
      registry_(std::make_unique<prometheus::Registry>()),
      requests_(Counters(*registry_, "ddgan_requests_total",
                         "Calls that ended, by method and gRPC status code; "
                         "model is empty if none took the call.")),
      request_duration_(Histograms(
          *registry_, "ddgan_request_duration_seconds",
          "Time from a call's arrival to its end, by method and gRPC status "
          "code.")),
      queue_duration_(Histograms(
          *registry_, "ddgan_queue_duration_seconds",
          "Time from a request's acceptance to its first denoising step.")),
      step_duration_(Histograms(
          *registry_, "ddgan_step_duration_seconds",
          "Device time of one generator call; step is the t of its rows, or "
          "mixed; batch_bucket is the batch size rounded up to a power of "
          "two.")),
      step_batch_size_(Histograms(*registry_, "ddgan_step_batch_size",
                                  "Images in one generator call.")),
      images_(Counters(*registry_, "ddgan_images_total",
                       "Images whose last denoising step is done.")),
      time_to_first_preview_(
          Histograms(*registry_, "ddgan_time_to_first_preview_seconds",
                     "Time from a GenerateStream call's arrival until its "
                     "first preview is written.")
              .Add({}, kRequestSeconds)),
      previews_dropped_(Counters(*registry_, "ddgan_previews_dropped_total",
                                 "Previews that a newer one or the image "
                                 "overtook before they were sent.")
                            .Add({})),
      encode_duration_(Histograms(*registry_, "ddgan_encode_duration_seconds",
                                  "Time to encode one image or preview as PNG.")
                           .Add({}, kEncodeSeconds)),
      queue_depth_(Gauges(*registry_, "ddgan_queue_depth",
                          "Images accepted and waiting for their first step.")
                       .Add({})),
      queue_oldest_age_(
          Gauges(*registry_, "ddgan_queue_oldest_age_seconds",
                 "Age of the oldest image waiting for its first step; 0 if "
                 "none waits.")
              .Add({})),
      inflight_images_(
          Gauges(*registry_, "ddgan_inflight_images",
                 "Images between their first and last denoising step.")
              .Add({})),
      wasted_steps_(Counters(*registry_, "ddgan_wasted_steps_total",
                             "Denoising steps, one per image, that were of no "
                             "use to anyone.")),
      rejected_(Counters(*registry_, "ddgan_rejected_total",
                         "Requests turned away although they were valid.")),
      reloads_(Counters(*registry_, "ddgan_reloads_total",
                        "Model versions looked at: loaded or refused.")),
      reload_duration_(Histograms(*registry_, "ddgan_reload_duration_seconds",
                                  "Time to load, or refuse, a model version.")
                           .Add({}, kReloadSeconds)),
      model_info_(Gauges(*registry_, "ddgan_model_info",
                         "1 for the live version of each model.")),
      device_memory_(Gauges(
          *registry_, "ddgan_device_memory_bytes",
          "Memory that weights and images in flight hold on the device.")),
      device_healthy_(Gauges(*registry_, "ddgan_device_healthy",
                             "1 if the device takes work, 0 if not.")),
      device_batch_limit_(
          Gauges(*registry_, "ddgan_device_batch_limit_images",
                 "Largest batch of the device after it ran out of memory.")) {
  Gauges(*registry_, "ddgan_build_info", "1; the labels say what is running.")
      .Add({{"version", kBuildVersion}})
      .Set(1);
  // From the start, so that a rate() over the first event is not lost.
  for (RejectReason reason :
       {RejectReason::kQueueFull, RejectReason::kDeadline,
        RejectReason::kUnmeetableDeadline, RejectReason::kDraining,
        RejectReason::kNoDevice}) {
    rejected_.Add({{"reason", LabelOf(reason)}});
  }
  rejected_.Add({{"reason", kEncoderFullLabel}});
  for (WasteReason reason :
       {WasteReason::kCancelled, WasteReason::kDeadline, WasteReason::kShutdown,
        WasteReason::kStepFailed, WasteReason::kReplayed}) {
    wasted_steps_.Add({{"reason", LabelOf(reason)}});
  }
}

void PrometheusObserver::OnStep(const ModelIdentity& model,
                                const std::string& device,
                                absl::Span<const int> steps,
                                absl::Duration device_time) {
  if (steps.empty()) return;
  // Named by its largest batch, a power of two.
  const int bucket = 1 << BatchBucket(static_cast<int>(steps.size()));
  {
    absl::MutexLock lock(&mu_);
    VersionSeries& series = SeriesOf(model);
    Histogram*& histogram =
        series.step_duration[{device, StepLabel(steps), bucket}];
    if (histogram == nullptr) {
      histogram = &step_duration_.Add({{"model", model.model},
                                       {"version", absl::StrCat(model.version)},
                                       {"device", device},
                                       {"step", StepLabel(steps)},
                                       {"batch_bucket", absl::StrCat(bucket)}},
                                      kStepSeconds);
    }
    histogram->Observe(absl::ToDoubleSeconds(device_time));
  }
  step_batch_size_
      .Add({{"model", model.model}, {"device", device}}, kBatchSizes)
      .Observe(static_cast<double>(steps.size()));
}

void PrometheusObserver::OnQueueWait(const ModelIdentity& model,
                                     absl::Duration wait) {
  queue_duration_.Add({{"model", model.model}}, kQueueSeconds)
      .Observe(absl::ToDoubleSeconds(wait));
}

void PrometheusObserver::OnImages(const ModelIdentity& model, int count) {
  absl::MutexLock lock(&mu_);
  SeriesOf(model).images->Increment(count);
}

void PrometheusObserver::OnRejected(RejectReason reason) {
  rejected_.Add({{"reason", LabelOf(reason)}}).Increment();
}

void PrometheusObserver::OnWastedSteps(WasteReason reason, int steps) {
  wasted_steps_.Add({{"reason", LabelOf(reason)}}).Increment(steps);
}

void PrometheusObserver::OnQueueState(int queued_images, int inflight_images,
                                      absl::Time oldest_queued_since) {
  queue_depth_.Set(queued_images);
  inflight_images_.Set(inflight_images);
  absl::MutexLock lock(&mu_);
  oldest_queued_since_ = oldest_queued_since;
}

void PrometheusObserver::OnReload(const ModelIdentity& model,
                                  const absl::Status& result,
                                  absl::Duration duration) {
  reloads_
      .Add({{"model", model.model}, {"result", result.ok() ? "ok" : "refused"}})
      .Increment();
  reload_duration_.Observe(absl::ToDoubleSeconds(duration));
  if (!result.ok()) return;
  absl::MutexLock lock(&mu_);
  prometheus::Gauge*& info = live_info_[model.model];
  if (info != nullptr) model_info_.Remove(info);
  info = &model_info_.Add({{"model", model.model},
                           {"version", absl::StrCat(model.version)},
                           {"digest", model.digest}});
  info->Set(1);
}

void PrometheusObserver::OnDeviceHealth(const std::string& device,
                                        const absl::Status& health) {
  device_healthy_.Add({{"device", device}}).Set(health.ok() ? 1 : 0);
}

void PrometheusObserver::OnBatchLimit(const std::string& device,
                                      int max_batch_size) {
  device_batch_limit_.Add({{"device", device}}).Set(max_batch_size);
}

void PrometheusObserver::OnDeviceMemory(const std::string& device,
                                        int64_t bytes) {
  device_memory_.Add({{"device", device}}).Set(static_cast<double>(bytes));
}

void PrometheusObserver::OnCallFinished(RpcMethod method,
                                        const std::string& model,
                                        absl::StatusCode code,
                                        absl::Duration duration) {
  const std::string name = absl::StatusCodeToString(code);
  requests_.Add({{"method", NameOf(method)}, {"model", model}, {"code", name}})
      .Increment();
  request_duration_
      .Add({{"method", NameOf(method)}, {"code", name}}, kRequestSeconds)
      .Observe(absl::ToDoubleSeconds(duration));
}

void PrometheusObserver::OnFirstPreview(absl::Duration duration) {
  time_to_first_preview_.Observe(absl::ToDoubleSeconds(duration));
}

void PrometheusObserver::OnPreviewsDropped(int count) {
  previews_dropped_.Increment(count);
}

void PrometheusObserver::OnEncoded(absl::Duration duration) {
  encode_duration_.Observe(absl::ToDoubleSeconds(duration));
}

void PrometheusObserver::OnEncoderFull() {
  rejected_.Add({{"reason", kEncoderFullLabel}}).Increment();
}

std::string PrometheusObserver::Text() {
  {
    absl::MutexLock lock(&mu_);
    const absl::Duration age =
        oldest_queued_since_ == absl::InfiniteFuture()
            ? absl::ZeroDuration()
            : std::max(clock_->Now() - oldest_queued_since_,
                       absl::ZeroDuration());
    queue_oldest_age_.Set(absl::ToDoubleSeconds(age));
  }
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

PrometheusObserver::VersionSeries& PrometheusObserver::SeriesOf(
    const ModelIdentity& model) {
  std::vector<VersionSeries>& versions = series_[model.model];
  auto found = std::find_if(versions.begin(), versions.end(),
                            [&model](const VersionSeries& series) {
                              return series.version == model.version;
                            });
  if (found != versions.end()) {
    std::rotate(found, found + 1, versions.end());
    return versions.back();
  }
  if (versions.size() == kVersionsKept) {
    DropSeries(versions.front());
    versions.erase(versions.begin());
  }
  VersionSeries series;
  series.version = model.version;
  series.images = &images_.Add(
      {{"model", model.model}, {"version", absl::StrCat(model.version)}});
  versions.push_back(std::move(series));
  return versions.back();
}

void PrometheusObserver::DropSeries(const VersionSeries& series) {
  images_.Remove(series.images);
  for (const auto& [labels, histogram] : series.step_duration) {
    step_duration_.Remove(histogram);
  }
}

}  // namespace ddgan
