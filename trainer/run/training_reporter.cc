#include "trainer/run/training_reporter.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

TrainingReporter::TrainingReporter(const Options& options,
                                   ProgressDisplay* display,
                                   TrainingMetrics* metrics)
    : options_(options), display_(display), metrics_(metrics) {}

absl::Status TrainingReporter::OpenLog(const std::filesystem::path& path,
                                       int64_t step) {
  absl::StatusOr<std::unique_ptr<MetricsLog>> log =
      MetricsLog::Open(path, step);
  if (!log.ok()) return log.status();
  log_ = *std::move(log);
  return absl::OkStatus();
}

void TrainingReporter::Begin(absl::Time now) { began_ = window_start_ = now; }

void TrainingReporter::Print(const std::string& line) {
  if (display_ != nullptr) display_->Print(line);
}

void TrainingReporter::PrintFailure(int64_t step, const absl::Status& status) {
  if (status.ok()) return;
  Print(absl::StrCat("step ", step, ": ", status.message(),
                     "; training goes on"));
}

void TrainingReporter::OnStep(const TrainingMetrics::Step& step, absl::Time now,
                              bool log) {
  ++window_steps_;
  if (step.discriminator_real_loss && step.discriminator_fake_loss) {
    discriminator_loss_.Add(*step.discriminator_real_loss +
                            *step.discriminator_fake_loss);
  }
  if (step.generator_loss) generator_loss_.Add(*step.generator_loss);
  if (step.r1) last_r1_ = step.r1;
  if (metrics_ != nullptr) metrics_->OnStep(step);

  TrainingProgress progress = progress_;
  progress.step = step.step;
  progress.total_steps = options_.total_steps;
  progress.images = step.step * options_.batch_size;
  progress.elapsed = now - began_;
  progress.r1 = last_r1_;
  if (log) Log(step, now, &progress);
  if (display_ != nullptr) display_->Update(progress);
}

void TrainingReporter::Log(const TrainingMetrics::Step& step, absl::Time now,
                           TrainingProgress* progress) {
  const double seconds =
      std::max(1e-9, absl::ToDoubleSeconds(now - window_start_));
  const auto share = [seconds](double waited) {
    return std::clamp(waited / seconds, 0.0, 1.0);
  };
  progress->images_per_second =
      static_cast<double>(window_steps_) * options_.batch_size / seconds;
  progress->data_wait_share = share(step.data_wait_seconds - window_data_wait_);
  progress->discriminator_loss = discriminator_loss_.TakeMean();
  progress->generator_loss = generator_loss_.TakeMean().value_or(0);
  progress->discriminator_gradient_norm = step.discriminator_gradient_norm;
  progress->generator_gradient_norm = step.generator_gradient_norm;
  std::optional<double> gradient_wait_share;
  if (options_.several_processes) {
    gradient_wait_share =
        share(step.gradient_wait_seconds - window_gradient_wait_);
  }
  window_start_ = now;
  window_steps_ = 0;
  window_data_wait_ = step.data_wait_seconds;
  window_gradient_wait_ = step.gradient_wait_seconds;
  progress_ = *progress;
  PrintFailure(step.step,
               log_->Append({.step = step.step,
                             .images = progress->images,
                             .time = now,
                             .d_loss_real = step.discriminator_real_loss,
                             .d_loss_fake = step.discriminator_fake_loss,
                             .g_loss = step.generator_loss,
                             .r1 = step.r1,
                             .grad_norm_d = step.discriminator_gradient_norm,
                             .grad_norm_g = step.generator_gradient_norm,
                             .lr_g = step.generator_rate,
                             .lr_d = step.discriminator_rate,
                             .images_per_second = progress->images_per_second,
                             .data_wait_share = progress->data_wait_share,
                             .gradient_wait_share = gradient_wait_share,
                             .ema_distance = step.ema_distance,
                             .damaged_images = step.damaged_images}));
}

absl::Status TrainingReporter::SyncLog() { return log_->Sync(); }

void TrainingReporter::OnResumed(int64_t step, std::optional<int64_t> version) {
  if (metrics_ != nullptr) metrics_->OnResumed(step, version);
}

void TrainingReporter::OnPublish(PublishResult result, int64_t version,
                                 absl::Time time) {
  if (metrics_ != nullptr) metrics_->OnPublish(result, version, time);
}

void TrainingReporter::OnStateSaved(absl::Duration duration) {
  if (metrics_ != nullptr) metrics_->OnStateSaved(duration);
}

}  // namespace ddgan
