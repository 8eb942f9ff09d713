// Metrics of the calls that make images.
#ifndef DDGAN_SERVER_TELEMETRY_CALL_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_CALL_METRICS_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/calls/call_observer.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class CallMetrics : public virtual CallObserver {
 public:
  explicit CallMetrics(MetricsRegistry* registry);

  // Calls of `model` may fail from now on.
  void OnModel(const std::string& model);

  void OnCallFinished(RpcMethod method, const std::string& model,
                      absl::StatusCode code, absl::Duration duration) override;
  void OnFirstPreview(absl::Duration duration) override;
  void OnPreviewsDropped(int count) override;
  void OnEncoded(absl::Duration duration) override;

 private:
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& duration_;
  prometheus::Histogram& time_to_first_preview_;
  prometheus::Counter& previews_dropped_;
  prometheus::Histogram& encode_duration_;
  absl::Mutex mu_;
  absl::flat_hash_set<std::string> models_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_CALL_METRICS_H_
