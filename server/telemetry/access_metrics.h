// Metrics of access: calls that may not be made, the files that say so, and the
// logs.
#ifndef DDGAN_SERVER_TELEMETRY_ACCESS_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_ACCESS_METRICS_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/access/access_observer.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class AccessMetrics : public virtual AccessObserver {
 public:
  explicit AccessMetrics(MetricsRegistry* registry);

  void OnAccessDenied(AccessDenial denial) override;
  void ExpectReloads(SecurityFiles files) override;
  void OnSecurityReload(SecurityFiles files, bool taken) override;
  void OnSecurityFilesRefused(SecurityFiles files, bool refused) override;
  void OnCertificate(absl::Time expires) override;

  // So many lines of the access log were lost.
  void OnAccessLinesLost(int count);
  // So many lines of all logs are lost so far.
  void SetLogLinesLost(int64_t total) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  prometheus::Family<prometheus::Counter>& ReloadsOf(SecurityFiles files);

  prometheus::Family<prometheus::Counter>& denied_;
  prometheus::Family<prometheus::Counter>& tls_reloads_;
  prometheus::Family<prometheus::Counter>& token_reloads_;
  prometheus::Family<prometheus::Gauge>& files_refused_;
  prometheus::Family<prometheus::Gauge>& certificate_expiry_;
  prometheus::Counter& lines_lost_;

  absl::Mutex mu_;
  prometheus::Counter& log_lines_lost_;  // Set by one at a time.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_ACCESS_METRICS_H_
