// Shows a person how a run goes: a bar that is redrawn on a terminal, lines
// anywhere else. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_PROGRESS_DISPLAY_H_
#define DDGAN_TRAINER_RUN_PROGRESS_DISPLAY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/base/clock.h"
#include "engine/base/progress_bar.h"
#include "trainer/options/trainer_options.h"
#include "trainer/run/training_progress.h"

namespace ddgan {

// Thread-safe.
class ProgressDisplay {
 public:
  struct Options {
    ProgressMode mode = ProgressMode::kAuto;
    // Whether the sink is a terminal (isatty).
    bool is_terminal = false;
    // Of the terminal, as TerminalLine asks for them.
    std::function<int()> columns;
    int batch_size = 1;     // Images per step. >= 1
    int64_t log_every = 1;  // Steps between two lines. >= 1
  };

  // One call for each thing shown, never two at a time.
  using Sink = TerminalLine::Sink;

  // The clock must outlive the display.
  ProgressDisplay(const Options& options, Sink sink, Clock* clock);
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;
  // As Finish.
  ~ProgressDisplay();

  // After each step. A bar is redrawn at most 5 times per second, and at the
  // last step; a line is printed at each multiple of log_every and at the last
  // step.
  void Update(const TrainingProgress& progress);

  // Prints `line` (without its line break), above the bar if there is one.
  void Print(const std::string& line);

  // Shows the bar as it stands and ends its line. What is printed after this
  // has no bar below. May be called more than once.
  void Finish();

 private:
  // `above` is as of TerminalLine::Draw.
  void Redraw(const std::string& above) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Options options_;
  const bool bar_;
  const Sink sink_;
  Clock* const clock_;

  absl::Mutex mu_;
  TerminalLine line_ ABSL_GUARDED_BY(mu_);
  absl::Time drawn_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  std::optional<TrainingProgress> progress_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_PROGRESS_DISPLAY_H_
