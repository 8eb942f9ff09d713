// Metrics of connections, and of what unread replies hold.
#ifndef DDGAN_SERVER_TELEMETRY_CONNECTION_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_CONNECTION_METRICS_H_

#include <cstdint>

#include "server/connections/connection_observer.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class ConnectionMetrics : public virtual ConnectionObserver {
 public:
  explicit ConnectionMetrics(MetricsRegistry* registry);

  void OnConnections(int open) override;
  void OnConnectionRefused(ConnectionRefusal reason) override;
  void OnWriteTimeout(WriteTimeout what) override;
  void OnRequestNotReceived(RequestLoss reason) override;

  // What unfinished and unread replies hold now.
  void OnReplyBytes(int64_t bytes);

 private:
  prometheus::Gauge& open_;
  prometheus::Family<prometheus::Counter>& refused_;
  prometheus::Family<prometheus::Counter>& write_timeouts_;
  prometheus::Family<prometheus::Counter>& requests_lost_;
  prometheus::Gauge& reply_bytes_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_CONNECTION_METRICS_H_
