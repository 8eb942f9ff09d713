#include "trainer/run/progress_display.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(200);

}  // namespace

ProgressDisplay::ProgressDisplay(const Options& options, Sink sink,
                                 Clock* clock)
    : options_(options),
      bar_(options.mode == ProgressMode::kBar ||
           (options.mode == ProgressMode::kAuto && options.is_terminal)),
      sink_(std::move(sink)),
      clock_(clock),
      line_(sink_, options.columns) {}

ProgressDisplay::~ProgressDisplay() { Finish(); }

void ProgressDisplay::Update(const TrainingProgress& progress) {
  const bool last = progress.step >= progress.total_steps;
  absl::MutexLock lock(&mu_);
  if (!bar_) {
    if (last || progress.step % options_.log_every == 0) {
      sink_(absl::StrCat(FormatTrainingLine(progress, options_.batch_size),
                         "\n"));
    }
    return;
  }
  progress_ = progress;
  const absl::Duration age = clock_->Now() - drawn_at_;
  // A clock that was set back must not stop the bar.
  if (last || age >= kRedrawInterval || age < absl::ZeroDuration()) Redraw("");
}

void ProgressDisplay::Print(const std::string& line) {
  absl::MutexLock lock(&mu_);
  const std::string text = absl::StrCat(line, "\n");
  if (progress_) {
    Redraw(text);
  } else {
    sink_(text);
  }
}

void ProgressDisplay::Finish() {
  absl::MutexLock lock(&mu_);
  if (!progress_) return;
  Redraw("");
  line_.End();
  progress_.reset();
}

void ProgressDisplay::Redraw(const std::string& above) {
  line_.Draw(FormatTrainingBar(*progress_, options_.batch_size, line_.Width()),
             above);
  drawn_at_ = clock_->Now();
}

}  // namespace ddgan
