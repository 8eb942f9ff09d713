// The metric of valid requests that were refused, whichever room refused them.
#ifndef DDGAN_SERVER_TELEMETRY_REFUSAL_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_REFUSAL_METRICS_H_

#include "engine/api/engine_observer.h"
#include "server/access/access_observer.h"
#include "server/calls/call_observer.h"
#include "server/connections/byte_ledger.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class RefusalMetrics : public virtual EngineObserver,
                       public virtual AccessObserver,
                       public virtual CallObserver {
 public:
  explicit RefusalMetrics(MetricsRegistry* registry);

  void OnRefused(RefusalReason reason) override;
  void OnQuotaRefusal(QuotaRefusal reason) override;
  void OnEncoderFull() override;
  void OnGuidesFull() override;
  void OnReplyBytesFull(ByteLedger::Refusal refusal) override;

 private:
  prometheus::Family<prometheus::Counter>& refused_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_REFUSAL_METRICS_H_
