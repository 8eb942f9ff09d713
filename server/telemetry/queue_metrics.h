// Metrics of the images in the engine: those that wait, and those that run.
#ifndef DDGAN_SERVER_TELEMETRY_QUEUE_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_QUEUE_METRICS_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class QueueMetrics : public virtual EngineObserver {
 public:
  // `clock` is the one that the engine's times come from.
  QueueMetrics(MetricsRegistry* registry, Clock* clock);

  void OnQueueWait(const ModelIdentity& model, absl::Duration wait) override;
  void OnQueueState(int queued_images, int inflight_images,
                    const OldestQueued& oldest) override
      ABSL_LOCKS_EXCLUDED(mu_);

 protected:
  // To be called before a scrape: the ages of the oldest waiting images grow
  // without an event.
  void SetOldestAges() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Constant after construction; the metrics themselves are thread-safe.
  Clock* const clock_;
  prometheus::Family<prometheus::Histogram>& wait_;
  prometheus::Gauge& depth_;
  prometheus::Gauge& oldest_interactive_age_;
  prometheus::Gauge& oldest_batch_age_;
  prometheus::Gauge& inflight_;

  absl::Mutex mu_;
  OldestQueued oldest_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_QUEUE_METRICS_H_
