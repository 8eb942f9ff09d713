#include "trainer/run/training_metrics.h"

#include <algorithm>

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace ddgan {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

// Bounds in seconds. A step of toy networks takes milliseconds; of a large
// model on a CPU, minutes.
const Histogram::BucketBoundaries kStepSeconds = {
    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
    1,     2,     5,    10,   20,   50,  100, 200};
const Histogram::BucketBoundaries kSaveSeconds = {
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};

const char* LabelOf(PublishResult result) {
  switch (result) {
    case PublishResult::kPublished:
      return "published";
    case PublishResult::kPresent:
      return "present";
    case PublishResult::kFailed:
      return "failed";
  }
  return "unknown";
}

Family<Counter>& Counters(prometheus::Registry& registry, const char* name,
                          const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Gauge>& Gauges(prometheus::Registry& registry, const char* name,
                      const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Family<Histogram>& Histograms(prometheus::Registry& registry, const char* name,
                              const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

// Family::Add gives the series that is there, if one is.
void Set(Family<Gauge>& gauges, const char* network,
         std::optional<double> value) {
  if (value) gauges.Add({{"network", network}}).Set(*value);
}

void Set(Family<Gauge>& gauges, std::optional<double> value) {
  if (value) gauges.Add({}).Set(*value);
}

// A counter follows a number that somebody else counts.
void Follow(Counter& counter, double value) {
  counter.Increment(std::max(value - counter.Value(), 0.0));
}

}  // namespace

struct TrainingMetrics::Series {
  prometheus::Registry registry;
  Gauge& step = Gauges(registry, "ddgan_training_step",
                       "Steps of the run that are done, those of the processes "
                       "it goes on from counted in.")
                    .Add({});
  Gauge& last_step =
      Gauges(registry, "ddgan_training_last_step", "Where the run ends.")
          .Add({});
  Counter& steps =
      Counters(registry, "ddgan_training_steps_total", "Steps of this process.")
          .Add({});
  Counter& images = Counters(registry, "ddgan_training_images_total",
                             "Images that the steps of this process saw.")
                        .Add({});
  Histogram& step_duration =
      Histograms(registry, "ddgan_training_step_duration_seconds",
                 "Time of a whole step, waiting for data counted in.")
          .Add({}, kStepSeconds);
  Counter& data_wait =
      Counters(registry, "ddgan_training_data_wait_seconds_total",
               "Time that steps waited for data.")
          .Add({});
  Counter& damaged_images =
      Counters(registry, "ddgan_training_damaged_images_total",
               "Images that could not be read and were replaced by others.")
          .Add({});
  Counter& gradient_wait =
      Counters(registry, "ddgan_training_gradient_wait_seconds_total",
               "Time that steps waited after backward for gradients to be "
               "summed over processes.")
          .Add({});
  Counter& gradient_bytes =
      Counters(registry, "ddgan_training_gradient_bytes_total",
               "Bytes of gradient that were summed over processes.")
          .Add({});
  Family<Counter>& gradient_sums =
      Counters(registry, "ddgan_training_gradient_sums_total",
               "Sums of parts of gradients over processes, by whether they "
               "began while backward ran.");
  Counter& early_gradient_sums =
      gradient_sums.Add({{"began", "during_backward"}});
  Counter& late_gradient_sums =
      gradient_sums.Add({{"began", "after_backward"}});
  Family<Gauge>& loss =
      Gauges(registry, "ddgan_training_loss",
             "Losses of the last step that computed them; a denoiser's is the "
             "generator's.");
  Family<Gauge>& r1 = Gauges(registry, "ddgan_training_r1_penalty",
                             "R1 of the last step that computed it.");
  Family<Gauge>& gradient_norm =
      Gauges(registry, "ddgan_training_gradient_norm",
             "L2 norm of the last gradient of each network.");
  Family<Gauge>& learning_rate =
      Gauges(registry, "ddgan_training_learning_rate", "Of the last step.");
  Family<Gauge>& ema_distance =
      Gauges(registry, "ddgan_training_ema_distance_ratio",
             "L2 distance of the averaged weights from the generator's, as a "
             "share of the weights' norm.");
  Family<Gauge>& published_version =
      Gauges(registry, "ddgan_training_last_published_version",
             "The version that was published last.");
  Family<Gauge>& published_timestamp =
      Gauges(registry, "ddgan_training_last_published_timestamp_seconds",
             "When a version was published last, since 1970.");
  Family<Counter>& published =
      Counters(registry, "ddgan_training_published_versions_total",
               "Attempts to publish a version; result is present if it was "
               "published before.");
  Histogram& state_save_duration =
      Histograms(registry, "ddgan_training_state_save_duration_seconds",
                 "Time to save the training state.")
          .Add({}, kSaveSeconds);
};

TrainingMetrics::TrainingMetrics(const std::string& version, int64_t last_step)
    : series_(std::make_unique<Series>()) {
  Gauges(series_->registry, "ddgan_training_build_info",
         "1; the labels say what is running.")
      .Add({{"version", version}})
      .Set(1);
  series_->last_step.Set(static_cast<double>(last_step));
  // From the start, so that a rate() over the first event is not lost.
  for (const PublishResult result :
       {PublishResult::kPublished, PublishResult::kPresent,
        PublishResult::kFailed}) {
    series_->published.Add({{"result", LabelOf(result)}});
  }
}

TrainingMetrics::~TrainingMetrics() = default;

void TrainingMetrics::OnResumed(int64_t step, std::optional<int64_t> version) {
  series_->step.Set(static_cast<double>(step));
  Set(series_->published_version, version);
}

void TrainingMetrics::OnStep(const Step& step) {
  Series& series = *series_;
  series.step.Set(static_cast<double>(step.step));
  series.steps.Increment();
  series.images.Increment(static_cast<double>(step.images));
  series.step_duration.Observe(absl::ToDoubleSeconds(step.duration));
  Follow(series.data_wait, step.data_wait_seconds);
  Follow(series.damaged_images, static_cast<double>(step.damaged_images));
  Follow(series.gradient_wait, step.gradient_wait_seconds);
  Follow(series.gradient_bytes, static_cast<double>(step.gradient_bytes));
  Follow(series.early_gradient_sums,
         static_cast<double>(step.early_gradient_sums));
  Follow(series.late_gradient_sums,
         static_cast<double>(step.gradient_sums - step.early_gradient_sums));
  Set(series.loss, "discriminator_real", step.discriminator_real_loss);
  Set(series.loss, "discriminator_fake", step.discriminator_fake_loss);
  Set(series.loss, "generator", step.generator_loss);
  Set(series.r1, step.r1);
  Set(series.gradient_norm, "discriminator", step.discriminator_gradient_norm);
  Set(series.gradient_norm, "generator", step.generator_gradient_norm);
  Set(series.learning_rate, "discriminator", step.discriminator_rate);
  Set(series.learning_rate, "generator", step.generator_rate);
  Set(series.ema_distance, step.ema_distance);
}

void TrainingMetrics::OnPublish(PublishResult result, int64_t version,
                                absl::Time time) {
  series_->published.Add({{"result", LabelOf(result)}}).Increment();
  if (result != PublishResult::kPublished) return;
  Set(series_->published_version, static_cast<double>(version));
  Set(series_->published_timestamp,
      absl::ToDoubleSeconds(time - absl::UnixEpoch()));
}

void TrainingMetrics::OnStateSaved(absl::Duration duration) {
  series_->state_save_duration.Observe(absl::ToDoubleSeconds(duration));
}

std::string TrainingMetrics::Text() const {
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace ddgan
