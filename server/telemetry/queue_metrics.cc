#include "server/telemetry/queue_metrics.h"

#include <algorithm>

namespace ddgan {
namespace {

const prometheus::Histogram::BucketBoundaries kQueueSeconds = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
    0.2,    0.5,   1,     2,     5,    10,   20,   50};

}  // namespace

QueueMetrics::QueueMetrics(MetricsRegistry* registry, Clock* clock)
    : clock_(clock),
      wait_(registry->Histograms(
          "ddgan_queue_duration_seconds",
          "Time from a request's acceptance to its first denoising step.")),
      depth_(registry
                 ->Gauges("ddgan_queue_depth",
                          "Images accepted and waiting for their first step.")
                 .Add({})),
      oldest_age_(
          registry
              ->Gauges("ddgan_queue_oldest_age_seconds",
                       "Age of the oldest image waiting for its first step; 0 "
                       "if none waits.")
              .Add({})),
      inflight_(registry
                    ->Gauges("ddgan_inflight_images",
                             "Images between their first and last denoising "
                             "step.")
                    .Add({})) {}

void QueueMetrics::OnQueueWait(const ModelIdentity& model,
                               absl::Duration wait) {
  wait_.Add({{"model", model.model}}, kQueueSeconds)
      .Observe(absl::ToDoubleSeconds(wait));
}

void QueueMetrics::OnQueueState(int queued_images, int inflight_images,
                                absl::Time oldest_queued_since) {
  depth_.Set(queued_images);
  inflight_.Set(inflight_images);
  absl::MutexLock lock(&mu_);
  oldest_queued_since_ = oldest_queued_since;
}

void QueueMetrics::SetOldestAge() {
  absl::MutexLock lock(&mu_);
  // None waits: since a time that has not come.
  const absl::Duration age =
      std::max(clock_->Now() - oldest_queued_since_, absl::ZeroDuration());
  oldest_age_.Set(absl::ToDoubleSeconds(age));
}

}  // namespace ddgan
