// What a run tells Prometheus. What each metric means is in trainer/README.md.
// No LibTorch, and no Prometheus in this header, so that the training loop can
// include both this and LibTorch.
#ifndef DDGAN_TRAINER_RUN_TRAINING_METRICS_H_
#define DDGAN_TRAINER_RUN_TRAINING_METRICS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace ddgan {

// What a publication came to.
enum class PublishResult {
  kPublished,
  kPresent,  // A run that goes on from an older state had published it before.
  kFailed,
};

// One event at a time; Text from any thread.
class TrainingMetrics {
 public:
  struct Step {
    int64_t step = 0;    // Steps done, this one counted in.
    int64_t images = 0;  // Of this step, all processes together.
    absl::Duration duration;
    // As BatchSource gives them, since the process began: the longest wait of
    // any process, and the images of all.
    double data_wait_seconds = 0;
    int64_t damaged_images = 0;
    // As GradientReducer::Totals: sums of gradients over several processes,
    // since the process began.
    double gradient_wait_seconds = 0;
    int64_t gradient_bytes = 0;
    int64_t gradient_sums = 0;
    int64_t early_gradient_sums = 0;
    double generator_rate = 0;                 // Learning rates.
    std::optional<double> discriminator_rate;  // Nothing for a denoiser.
    // Only of steps that computed them; else the last value stands.
    std::optional<double> discriminator_real_loss;
    std::optional<double> discriminator_fake_loss;
    std::optional<double> generator_loss;  // Of its objective.
    std::optional<double> r1;
    std::optional<double> discriminator_gradient_norm;  // L2
    std::optional<double> generator_gradient_norm;
    std::optional<double> ema_distance;  // As in MetricsRecord.
  };

  // `version` is the trainer's. `last_step` is where the run ends.
  TrainingMetrics(const std::string& version, int64_t last_step);
  TrainingMetrics(const TrainingMetrics&) = delete;
  TrainingMetrics& operator=(const TrainingMetrics&) = delete;
  ~TrainingMetrics();

  // The run goes on from `step`; the version that it published last, if any.
  void OnResumed(int64_t step, std::optional<int64_t> version);
  void OnStep(const Step& step);
  // `version` at `time`, both of no meaning if it failed.
  void OnPublish(PublishResult result, int64_t version, absl::Time time);
  void OnStateSaved(absl::Duration duration);

  // Everything so far in Prometheus' text format. A series begins with its
  // first value; counters with 0 at the start.
  std::string Text() const;

 private:
  struct Series;
  const std::unique_ptr<Series> series_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_TRAINING_METRICS_H_
