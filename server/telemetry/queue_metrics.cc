#include "server/telemetry/queue_metrics.h"

#include <algorithm>

namespace ddgan {
namespace {

const prometheus::Histogram::BucketBoundaries kQueueSeconds = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
    0.2,    0.5,   1,     2,     5,    10,   20,   50};

prometheus::Gauge& OldestAge(MetricsRegistry* registry,
                             const char* request_class) {
  return registry
      ->Gauges("ddgan_queue_oldest_age_seconds",
               "Age of the oldest image waiting for its first step; 0 if none "
               "waits.")
      .Add({{"class", request_class}});
}

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
      oldest_interactive_age_(OldestAge(registry, "interactive")),
      oldest_batch_age_(OldestAge(registry, "batch")),
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
                                const OldestQueued& oldest) {
  depth_.Set(queued_images);
  inflight_.Set(inflight_images);
  absl::MutexLock lock(&mu_);
  oldest_ = oldest;
}

void QueueMetrics::SetOldestAges() {
  absl::MutexLock lock(&mu_);
  const absl::Time now = clock_->Now();
  // None waits: since a time that has not come.
  const auto age = [now](absl::Time since) {
    return absl::ToDoubleSeconds(std::max(now - since, absl::ZeroDuration()));
  };
  oldest_interactive_age_.Set(age(oldest_.interactive));
  oldest_batch_age_.Set(age(oldest_.batch));
}

}  // namespace ddgan
