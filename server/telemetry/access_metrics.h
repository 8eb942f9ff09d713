// Metrics of access: calls that may not be made, the files that say so, and the
// access log.
#ifndef DDGAN_SERVER_TELEMETRY_ACCESS_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_ACCESS_METRICS_H_

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

 private:
  prometheus::Family<prometheus::Counter>& ReloadsOf(SecurityFiles files);

  prometheus::Family<prometheus::Counter>& denied_;
  prometheus::Family<prometheus::Counter>& tls_reloads_;
  prometheus::Family<prometheus::Counter>& token_reloads_;
  prometheus::Family<prometheus::Gauge>& files_refused_;
  prometheus::Family<prometheus::Gauge>& certificate_expiry_;
  prometheus::Counter& lines_lost_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_ACCESS_METRICS_H_
