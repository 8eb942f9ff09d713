// Engine and RPC events to Prometheus counters, gauges and histograms, and
// these to text. What each metric means is in server/README.md.
#ifndef DDGAN_SERVER_TELEMETRY_PROMETHEUS_OBSERVER_H_
#define DDGAN_SERVER_TELEMETRY_PROMETHEUS_OBSERVER_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/base/clock.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/access/access_control.h"
#include "server/access/access_observer.h"
#include "server/access/tenant_quotas.h"
#include "server/calls/call_observer.h"
#include "server/connections/byte_ledger.h"
#include "server/connections/connection_observer.h"

namespace ddgan {

// Thread-safe. Labels are bounded: models come from the model directory and
// from accepted requests only, never from a request's text, and per-version
// series are kept for the versions that were used last.
class PrometheusObserver final : public EngineObserver,
                                 public ConnectionObserver,
                                 public AccessObserver,
                                 public CallObserver {
 public:
  // Versions of one model whose series are kept. One more, and the series of
  // the version that was used least recently are dropped.
  static constexpr int kVersionsKept = 4;

  // `clock` must outlive the observer; it gives the age of the oldest waiting
  // image at the time of a scrape.
  explicit PrometheusObserver(Clock* clock);

  // EngineObserver:
  void OnStep(const ModelIdentity& model, const std::string& device,
              absl::Span<const int> steps, absl::Duration device_time) override;
  void OnQueueWait(const ModelIdentity& model, absl::Duration wait) override;
  void OnImages(const ModelIdentity& model, int count) override;
  void OnRejected(RejectReason reason) override;
  void OnWastedSteps(WasteReason reason, int steps) override;
  void OnQueueState(int queued_images, int inflight_images,
                    absl::Time oldest_queued_since) override;
  void OnReload(const ModelIdentity& model, ReloadResult result,
                const absl::Status& reason, absl::Duration duration) override;
  void OnReloadPhase(ReloadPhase phase, absl::Duration duration) override;
  void OnLiveVersion(const ModelIdentity& model, absl::Time loaded_at) override;
  void OnUnloaded(const ModelIdentity& model) override;
  void OnPin(const std::string& model, std::optional<int64_t> version) override;
  void OnRefusedVersions(
      const std::string& model,
      const std::array<int, kNumReloadResults>& count) override;
  void OnModelDirectory(const absl::Status&) override {}
  void OnDeviceHealth(const std::string& device,
                      const absl::Status& health) override;
  void OnBatchLimit(const std::string& device, int max_batch_size) override;
  // Text is for the log.
  void OnDeviceNotice(const std::string&, const std::string&) override {}
  void OnDeviceMemory(const std::string& device, int64_t bytes) override;

  // CallObserver:
  void OnCallFinished(RpcMethod method, const std::string& model,
                      absl::StatusCode code, absl::Duration duration) override;
  void OnFirstPreview(absl::Duration duration) override;
  void OnPreviewsDropped(int count) override;
  void OnEncoded(absl::Duration duration) override;
  void OnEncoderFull() override;
  void OnGuidesFull() override;
  void OnReplyBytesFull(ByteLedger::Refusal refusal) override;

  // AccessObserver:
  void OnAccessDenied(AccessDenial denial) override;
  void OnQuotaRefusal(QuotaRefusal reason) override;
  void ExpectReloads(SecurityFiles files) override;
  void OnSecurityReload(SecurityFiles files, bool taken) override;
  void OnSecurityFilesRefused(SecurityFiles files, bool refused) override;
  void OnCertificate(absl::Time expires) override;

  // ConnectionObserver:
  void OnConnections(int open) override;
  void OnConnectionRefused(ConnectionRefusal reason) override;
  void OnWriteTimeout(WriteTimeout what) override;

  // What unfinished and unread replies hold now.
  void OnReplyBytes(int64_t bytes);

  // So many lines of the access log were lost.
  void OnAccessLinesLost(int count);

  // All metrics in Prometheus' text format, version 0.0.4.
  std::string Text() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Series of one version's generator calls on one device. Found without a
  // label being put together, since they are looked up at every call.
  struct DeviceSeries {
    // Of all versions of the model, and not dropped with this one.
    prometheus::Histogram* batch_size = nullptr;
    // By t (kMixedSteps if there are several) and batch bucket.
    std::map<std::pair<int, int>, prometheus::Histogram*> step_duration;
  };

  // Series labelled with one version of a model.
  struct VersionSeries {
    int64_t version = 0;
    prometheus::Counter* images = nullptr;
    std::map<std::string, DeviceSeries> by_device;
  };

  // Series of a model's reloads. Null: there is none, or not yet.
  struct ReloadSeries {
    std::array<prometheus::Counter*, kNumReloadResults> reloads = {};
    std::array<prometheus::Gauge*, kNumReloadResults> refused = {};
    prometheus::Gauge* pinned = nullptr;
    ModelIdentity live;  // That the following two are about.
    prometheus::Gauge* info = nullptr;
    prometheus::Gauge* loaded_timestamp = nullptr;
  };

  // The series of `model`, which becomes the one used last.
  VersionSeries& SeriesOf(const ModelIdentity& model)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropSeries(const VersionSeries& series);
  ReloadSeries& ReloadSeriesOf(const std::string& model)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction; the metrics themselves are thread-safe.
  Clock* const clock_;
  const std::unique_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& request_duration_;
  prometheus::Family<prometheus::Histogram>& queue_duration_;
  prometheus::Family<prometheus::Histogram>& step_duration_;
  prometheus::Family<prometheus::Histogram>& step_batch_size_;
  prometheus::Family<prometheus::Counter>& images_;
  prometheus::Histogram& time_to_first_preview_;
  prometheus::Counter& previews_dropped_;
  prometheus::Histogram& encode_duration_;
  prometheus::Gauge& queue_depth_;
  prometheus::Gauge& queue_oldest_age_;
  prometheus::Gauge& inflight_images_;
  prometheus::Counter& access_lines_lost_;
  prometheus::Family<prometheus::Counter>& wasted_steps_;
  prometheus::Family<prometheus::Counter>& rejected_;
  prometheus::Gauge& reply_bytes_;
  prometheus::Family<prometheus::Counter>& write_timeouts_;
  prometheus::Gauge& connections_;
  prometheus::Family<prometheus::Counter>& connections_refused_;
  prometheus::Family<prometheus::Counter>& reloads_;
  std::array<prometheus::Histogram*, kNumReloadPhases> reload_phase_duration_;
  prometheus::Histogram* reload_duration_;
  prometheus::Family<prometheus::Gauge>& model_info_;
  prometheus::Family<prometheus::Gauge>& model_loaded_timestamp_;
  prometheus::Family<prometheus::Gauge>& model_pinned_version_;
  prometheus::Family<prometheus::Gauge>& versions_refused_;
  prometheus::Family<prometheus::Gauge>& device_memory_;
  prometheus::Family<prometheus::Gauge>& device_healthy_;
  prometheus::Family<prometheus::Gauge>& device_batch_limit_;
  prometheus::Family<prometheus::Counter>& access_denied_;
  prometheus::Family<prometheus::Counter>& tls_reloads_;
  prometheus::Family<prometheus::Counter>& token_reloads_;
  prometheus::Family<prometheus::Gauge>& security_files_refused_;
  prometheus::Family<prometheus::Gauge>& certificate_expiry_;

  absl::Mutex mu_;
  absl::Time oldest_queued_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // By model; the version used last is at the back.
  std::map<std::string, std::vector<VersionSeries>> series_
      ABSL_GUARDED_BY(mu_);
  std::map<std::string, ReloadSeries> reload_series_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_PROMETHEUS_OBSERVER_H_
