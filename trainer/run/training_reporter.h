// How a run goes, told to all who listen: a person (progress display), plotting
// tools (metrics.jsonl) and Prometheus. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_TRAINING_REPORTER_H_
#define DDGAN_TRAINER_RUN_TRAINING_REPORTER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "trainer/run/metrics_log.h"
#include "trainer/run/progress_display.h"
#include "trainer/run/training_metrics.h"
#include "trainer/run/training_progress.h"

namespace ddgan {

// Thread-compatible.
class TrainingReporter {
 public:
  struct Options {
    int batch_size = 1;       // Images per step. >= 1
    int64_t total_steps = 1;  // Where the run ends. >= 1
    // Whether steps wait for gradients of other processes.
    bool several_processes = false;
  };

  // `display` and `metrics` outlive this. Either may be null, as both are in
  // processes but the first: then nobody is told.
  TrainingReporter(const Options& options, ProgressDisplay* display,
                   TrainingMetrics* metrics);

  // Goes on with the log of a run whose last state is that after `step`. Errors
  // as MetricsLog::Open. Before the first OnStep.
  absl::Status OpenLog(const std::filesystem::path& path, int64_t step);

  // Training begins: rates count from here.
  void Begin(absl::Time now);

  void Print(const std::string& line);

  // Prints what went wrong after `step` without ending the run; nothing if
  // `status` is OK.
  void PrintFailure(int64_t step, const absl::Status& status);

  // After each step, which ended at `now`. With `log` a line of numbers is due.
  void OnStep(const TrainingMetrics::Step& step, absl::Time now, bool log);

  // As MetricsLog::Sync, of the log that is open.
  absl::Status SyncLog();

  // As TrainingMetrics' functions of these names.
  void OnResumed(int64_t step, std::optional<int64_t> version);
  void OnPublish(PublishResult result, int64_t version, absl::Time time);
  void OnStateSaved(absl::Duration duration);

 private:
  // A mean over the steps since the last line.
  class Window {
   public:
    void Add(double value) {
      sum_ += value;
      ++count_;
    }
    // Nothing of no value.
    std::optional<double> TakeMean() {
      std::optional<double> mean;
      if (count_ > 0) mean = sum_ / count_;
      sum_ = 0;
      count_ = 0;
      return mean;
    }

   private:
    double sum_ = 0;
    int count_ = 0;
  };

  // Appends the line of `step` to the log and takes the means since the last
  // one into `progress`.
  void Log(const TrainingMetrics::Step& step, absl::Time now,
           TrainingProgress* progress);

  const Options options_;
  ProgressDisplay* const display_;
  TrainingMetrics* const metrics_;
  std::unique_ptr<MetricsLog> log_;

  absl::Time began_;
  std::optional<double> last_r1_;
  TrainingProgress progress_;  // As of the last line.

  // Since the last line.
  absl::Time window_start_;
  double window_data_wait_ = 0;      // Seconds until then.
  double window_gradient_wait_ = 0;  // The same.
  int window_steps_ = 0;
  Window discriminator_loss_;
  Window generator_loss_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_TRAINING_REPORTER_H_
