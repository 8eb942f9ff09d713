#include "server/telemetry/prometheus_observer.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/api/batch_bucket.h"
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
// The server's own reasons beside the engine's.
constexpr char kEncoderFullLabel[] = "encoder_full";
constexpr char kGuidesFullLabel[] = "guides_full";

const char* LabelOf(ByteLedger::Refusal refusal) {
  switch (refusal) {
    case ByteLedger::Refusal::kTotal:
      return "reply_bytes";
    case ByteLedger::Refusal::kCaller:
      return "reply_bytes_caller";
  }
  return "unknown";
}

const char* LabelOf(WriteTimeout what) {
  switch (what) {
    case WriteTimeout::kCall:
      return "call";
    case WriteTimeout::kConnection:
      return "connection";
  }
  return "unknown";
}

const char* LabelOf(ConnectionRefusal reason) {
  switch (reason) {
    case ConnectionRefusal::kTotal:
      return "total";
    case ConnectionRefusal::kPeer:
      return "peer";
    case ConnectionRefusal::kDescriptors:
      return "descriptors";
  }
  return "unknown";
}

const char* LabelOf(QuotaRefusal reason) {
  switch (reason) {
    case QuotaRefusal::kRate:
      return "quota_rate";
    case QuotaRefusal::kInFlight:
      return "quota_in_flight";
    case QuotaRefusal::kTooMany:
      return "quota_count";
  }
  return "unknown";
}

constexpr char kTakenLabel[] = "taken";
constexpr char kRefusedLabel[] = "refused";

const char* LabelOf(SecurityFiles files) {
  switch (files) {
    case SecurityFiles::kTls:
      return "tls";
    case SecurityFiles::kTokens:
      return "tokens";
  }
  return "unknown";
}

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

const char* LabelOf(ReloadResult result) {
  switch (result) {
    case ReloadResult::kLive:
      return "live";
    case ReloadResult::kDamaged:
      return "damaged";
    case ReloadResult::kInvalid:
      return "invalid";
    case ReloadResult::kCanary:
      return "canary";
    case ReloadResult::kStep:
      return "step";
    case ReloadResult::kNoMemory:
      return "no_memory";
    case ReloadResult::kError:
      return "error";
  }
  return "unknown";
}

const char* LabelOf(ReloadPhase phase) {
  switch (phase) {
    case ReloadPhase::kRead:
      return "read";
    case ReloadPhase::kWarmUp:
      return "warm_up";
    case ReloadPhase::kCanary:
      return "canary";
  }
  return "unknown";
}
// All phases of a version that was sound, and what lies between them.
constexpr char kWholeReloadLabel[] = "total";

// Rows at different t share one generator call, whose time belongs to none of
// them alone: such a call is "mixed".
constexpr int kMixedSteps = -1;

// t if every row is at it.
int CommonStep(absl::Span<const int> steps) {
  const bool uniform =
      std::all_of(steps.begin(), steps.end(),
                  [&steps](int step) { return step == steps.front(); });
  return uniform ? steps.front() : kMixedSteps;
}

std::string StepLabel(int step) {
  return step == kMixedSteps ? "mixed" : absl::StrCat(step);
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
      access_lines_lost_(Counters(*registry_,
                                  "ddgan_access_log_lines_lost_total",
                                  "Access log lines that were dropped because "
                                  "whoever reads the log was too slow.")
                             .Add({})),
      wasted_steps_(Counters(*registry_, "ddgan_wasted_steps_total",
                             "Denoising steps, one per image, that were of no "
                             "use to anyone.")),
      rejected_(Counters(*registry_, "ddgan_rejected_total",
                         "Requests turned away although they were valid.")),
      reply_bytes_(Gauges(*registry_, "ddgan_reply_bytes",
                          "Memory booked for requests that are being answered "
                          "and for replies that are not read yet.")
                       .Add({})),
      write_timeouts_(Counters(*registry_, "ddgan_write_timeouts_total",
                               "Calls and connections that were ended because "
                               "their peer did not read in time.")),
      connections_(Gauges(*registry_, "ddgan_connections",
                          "Connections that are open on the gRPC port.")
                       .Add({})),
      connections_refused_(
          Counters(*registry_, "ddgan_connections_refused_total",
                   "Connections that were closed as soon as they came in.")),
      reloads_(Counters(*registry_, "ddgan_reloads_total",
                        "Attempts to load a model version; result is live if "
                        "it was sound, else why it was not.")),
      model_info_(Gauges(*registry_, "ddgan_model_info",
                         "1 for the live version of each model.")),
      model_loaded_timestamp_(
          Gauges(*registry_, "ddgan_model_loaded_timestamp_seconds",
                 "When the live version of each model had been loaded, since "
                 "1970.")),
      model_pinned_version_(Gauges(
          *registry_, "ddgan_model_pinned_version",
          "The version that an operator has pinned; no series if none is.")),
      versions_refused_(Gauges(*registry_, "ddgan_versions_refused",
                               "Versions in the model directory that are not "
                               "served, by what is wrong with them.")),
      device_memory_(Gauges(
          *registry_, "ddgan_device_memory_bytes",
          "Memory that weights and images in flight hold on the device.")),
      device_healthy_(Gauges(*registry_, "ddgan_device_healthy",
                             "1 if the device takes work, 0 if not.")),
      device_batch_limit_(
          Gauges(*registry_, "ddgan_device_batch_limit_images",
                 "Largest batch of the device after it ran out of memory.")),
      access_denied_(Counters(*registry_, "ddgan_access_denied_total",
                              "Calls turned away for want of a token, a scope "
                              "or a rule.")),
      tls_reloads_(Counters(*registry_, "ddgan_tls_reloads_total",
                            "New certificate files found, and whether they "
                            "were taken or the old ones kept.")),
      token_reloads_(Counters(*registry_, "ddgan_token_reloads_total",
                              "New token files found, and whether they were "
                              "taken or the old one kept.")),
      security_files_refused_(Gauges(
          *registry_, "ddgan_security_files_refused",
          "1 while the certificate or token files on disk are refused and "
          "older ones are in force.")),
      certificate_expiry_(
          Gauges(*registry_, "ddgan_tls_certificate_expiry_timestamp_seconds",
                 "When the certificate for new connections expires, since "
                 "1970; no series without TLS.")) {
  prometheus::Family<Histogram>& reload_duration = Histograms(
      *registry_, "ddgan_reload_duration_seconds",
      "Time of each phase of a load that the version passed; total is the "
      "whole load of a version that is sound.");
  for (ReloadPhase phase :
       {ReloadPhase::kRead, ReloadPhase::kWarmUp, ReloadPhase::kCanary}) {
    reload_phase_duration_[static_cast<size_t>(phase)] =
        &reload_duration.Add({{"phase", LabelOf(phase)}}, kReloadSeconds);
  }
  reload_duration_ =
      &reload_duration.Add({{"phase", kWholeReloadLabel}}, kReloadSeconds);
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
  rejected_.Add({{"reason", kGuidesFullLabel}});
  for (ByteLedger::Refusal refusal :
       {ByteLedger::Refusal::kTotal, ByteLedger::Refusal::kCaller}) {
    rejected_.Add({{"reason", LabelOf(refusal)}});
  }
  for (WriteTimeout what : {WriteTimeout::kCall, WriteTimeout::kConnection}) {
    write_timeouts_.Add({{"what", LabelOf(what)}});
  }
  for (ConnectionRefusal reason :
       {ConnectionRefusal::kTotal, ConnectionRefusal::kPeer,
        ConnectionRefusal::kDescriptors}) {
    connections_refused_.Add({{"reason", LabelOf(reason)}});
  }
  for (QuotaRefusal reason :
       {QuotaRefusal::kRate, QuotaRefusal::kInFlight, QuotaRefusal::kTooMany}) {
    rejected_.Add({{"reason", LabelOf(reason)}});
  }
  for (int i = 0; i < kNumAccessDenials; ++i) {
    access_denied_.Add({{"reason", NameOf(static_cast<AccessDenial>(i))}});
  }
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
  const int step = CommonStep(steps);
  // Named by its largest batch, a power of two.
  const int bucket = 1 << BatchBucket(static_cast<int>(steps.size()));
  absl::MutexLock lock(&mu_);
  DeviceSeries& series = SeriesOf(model).by_device[device];
  if (series.batch_size == nullptr) {
    series.batch_size = &step_batch_size_.Add(
        {{"model", model.model}, {"device", device}}, kBatchSizes);
  }
  Histogram*& duration = series.step_duration[{step, bucket}];
  if (duration == nullptr) {
    duration = &step_duration_.Add({{"model", model.model},
                                    {"version", absl::StrCat(model.version)},
                                    {"device", device},
                                    {"step", StepLabel(step)},
                                    {"batch_bucket", absl::StrCat(bucket)}},
                                   kStepSeconds);
  }
  duration->Observe(absl::ToDoubleSeconds(device_time));
  series.batch_size->Observe(static_cast<double>(steps.size()));
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
                                  ReloadResult result,
                                  const absl::Status& /*reason*/,
                                  absl::Duration duration) {
  if (result == ReloadResult::kLive) {
    reload_duration_->Observe(absl::ToDoubleSeconds(duration));
  }
  absl::MutexLock lock(&mu_);
  ReloadSeriesOf(model.model).reloads[static_cast<size_t>(result)]->Increment();
}

void PrometheusObserver::OnReloadPhase(ReloadPhase phase,
                                       absl::Duration duration) {
  reload_phase_duration_[static_cast<size_t>(phase)]->Observe(
      absl::ToDoubleSeconds(duration));
}

void PrometheusObserver::OnLiveVersion(const ModelIdentity& model,
                                       absl::Time loaded_at) {
  absl::MutexLock lock(&mu_);
  ReloadSeries& series = ReloadSeriesOf(model.model);
  if (series.info != nullptr) model_info_.Remove(series.info);
  series.live = model;
  series.info = &model_info_.Add({{"model", model.model},
                                  {"version", absl::StrCat(model.version)},
                                  {"digest", model.digest}});
  series.info->Set(1);
  series.loaded_timestamp =
      &model_loaded_timestamp_.Add({{"model", model.model}});
  series.loaded_timestamp->Set(
      absl::ToDoubleSeconds(loaded_at - absl::UnixEpoch()));
}

void PrometheusObserver::OnUnloaded(const ModelIdentity& model) {
  absl::MutexLock lock(&mu_);
  ReloadSeries& series = ReloadSeriesOf(model.model);
  // Only the live version of a model that is no longer there: another one has
  // otherwise taken its place before.
  if (series.info == nullptr || series.live != model) return;
  model_info_.Remove(std::exchange(series.info, nullptr));
  model_loaded_timestamp_.Remove(
      std::exchange(series.loaded_timestamp, nullptr));
}

void PrometheusObserver::OnPin(const std::string& model,
                               std::optional<int64_t> version) {
  absl::MutexLock lock(&mu_);
  ReloadSeries& series = ReloadSeriesOf(model);
  if (version.has_value()) {
    series.pinned = &model_pinned_version_.Add({{"model", model}});
    series.pinned->Set(static_cast<double>(*version));
  } else if (series.pinned != nullptr) {
    model_pinned_version_.Remove(std::exchange(series.pinned, nullptr));
  }
}

void PrometheusObserver::OnRefusedVersions(
    const std::string& model, const std::array<int, kNumReloadResults>& count) {
  absl::MutexLock lock(&mu_);
  ReloadSeries& series = ReloadSeriesOf(model);
  for (size_t i = 0; i < count.size(); ++i) {
    prometheus::Gauge*& refused = series.refused[i];
    if (refused == nullptr && count[i] == 0) continue;
    if (refused == nullptr) {
      refused = &versions_refused_.Add(
          {{"model", model},
           {"reason", LabelOf(static_cast<ReloadResult>(i))}});
    }
    refused->Set(count[i]);
  }
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

void PrometheusObserver::OnAccessLinesLost(int count) {
  access_lines_lost_.Increment(count);
}

void PrometheusObserver::OnEncoded(absl::Duration duration) {
  encode_duration_.Observe(absl::ToDoubleSeconds(duration));
}

void PrometheusObserver::OnEncoderFull() {
  rejected_.Add({{"reason", kEncoderFullLabel}}).Increment();
}

void PrometheusObserver::OnGuidesFull() {
  rejected_.Add({{"reason", kGuidesFullLabel}}).Increment();
}

void PrometheusObserver::OnReplyBytesFull(ByteLedger::Refusal refusal) {
  rejected_.Add({{"reason", LabelOf(refusal)}}).Increment();
}

void PrometheusObserver::OnReplyBytes(int64_t bytes) {
  reply_bytes_.Set(static_cast<double>(bytes));
}

void PrometheusObserver::OnWriteTimeout(WriteTimeout what) {
  write_timeouts_.Add({{"what", LabelOf(what)}}).Increment();
}

void PrometheusObserver::OnConnections(int open) { connections_.Set(open); }

void PrometheusObserver::OnConnectionRefused(ConnectionRefusal reason) {
  connections_refused_.Add({{"reason", LabelOf(reason)}}).Increment();
}

void PrometheusObserver::OnQuotaRefusal(QuotaRefusal reason) {
  rejected_.Add({{"reason", LabelOf(reason)}}).Increment();
}

void PrometheusObserver::OnAccessDenied(AccessDenial denial) {
  access_denied_.Add({{"reason", NameOf(denial)}}).Increment();
}

void PrometheusObserver::ExpectReloads(SecurityFiles files) {
  prometheus::Family<prometheus::Counter>& reloads =
      files == SecurityFiles::kTls ? tls_reloads_ : token_reloads_;
  reloads.Add({{"result", kTakenLabel}});
  reloads.Add({{"result", kRefusedLabel}});
  OnSecurityFilesRefused(files, false);
}

void PrometheusObserver::OnSecurityReload(SecurityFiles files, bool taken) {
  prometheus::Family<prometheus::Counter>& reloads =
      files == SecurityFiles::kTls ? tls_reloads_ : token_reloads_;
  reloads.Add({{"result", taken ? kTakenLabel : kRefusedLabel}}).Increment();
}

void PrometheusObserver::OnSecurityFilesRefused(SecurityFiles files,
                                                bool refused) {
  security_files_refused_.Add({{"files", LabelOf(files)}}).Set(refused ? 1 : 0);
}

void PrometheusObserver::OnCertificate(absl::Time expires) {
  certificate_expiry_.Add({}).Set(
      static_cast<double>(absl::ToUnixSeconds(expires)));
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
  for (const auto& [device, of_device] : series.by_device) {
    for (const auto& [labels, histogram] : of_device.step_duration) {
      step_duration_.Remove(histogram);
    }
  }
}

PrometheusObserver::ReloadSeries& PrometheusObserver::ReloadSeriesOf(
    const std::string& model) {
  const auto [entry, is_new] = reload_series_.try_emplace(model);
  ReloadSeries& series = entry->second;
  if (!is_new) return series;
  // All of them, so that a rate() over the first event is not lost.
  for (int i = 0; i < kNumReloadResults; ++i) {
    series.reloads[i] = &reloads_.Add(
        {{"model", model}, {"result", LabelOf(static_cast<ReloadResult>(i))}});
  }
  return series;
}

}  // namespace ddgan
