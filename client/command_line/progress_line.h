// A line on the terminal that shows how far a long call is.
#ifndef DDGAN_CLIENT_COMMAND_LINE_PROGRESS_LINE_H_
#define DDGAN_CLIENT_COMMAND_LINE_PROGRESS_LINE_H_

#include <cstdint>
#include <cstdio>
#include <functional>
#include <ostream>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"
#include "engine/base/progress_bar.h"

namespace ddgan {

// Characters between the brackets of the client's bars (ProgressBar).
inline constexpr int kProgressBarWidth = 20;

struct Progress {
  uint32_t images = 0;
  uint32_t total_images = 0;
  // Denoising steps of all images; a total of 0: the server does not tell them.
  uint64_t steps = 0;
  uint64_t total_steps = 0;
};

// "[======>             ] 128/640 images, 12.3 s, 10.4 images/s, 49 s left", or
// with steps "... 128/640 images, 620/2560 steps, 12.3 s, ...", in which case
// they are what the bar and the time left go by. No bar while nothing is done
// yet: a single call without steps has no parts to show. Pure.
std::string FormatProgress(const Progress& progress, absl::Duration elapsed);

// Redraws the line every kPeriod from a thread of its own, since the calling
// thread is blocked in a call. Starts after kDelay, so short calls show
// nothing. Thread-safe.
class ProgressLine {
 public:
  // A line that appears and vanishes at once is only flicker.
  static constexpr absl::Duration kDelay = absl::Milliseconds(500);
  static constexpr absl::Duration kPeriod = absl::Milliseconds(100);

  // Draws on `terminal`; nullptr draws nothing. What the terminal has no
  // columns for is cut off. `terminal` and `clock` must outlive the line.
  ProgressLine(std::FILE* terminal, uint32_t total_images,
               MonotonicClock* clock = RealMonotonicClock());

  // Shows what `text` returns, which is called from the thread that draws.
  ProgressLine(std::FILE* terminal,
               std::function<std::string(absl::Duration elapsed)> text,
               MonotonicClock* clock = RealMonotonicClock());

  // Erases the line.
  ~ProgressLine();

  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // For the line of images alone.
  void Advance(uint32_t images) ABSL_LOCKS_EXCLUDED(mu_);

  // Steps of all images that are done, and how many there will be.
  void SetSteps(uint64_t done, uint64_t total) ABSL_LOCKS_EXCLUDED(mu_);

  // Writes a line of text to `out`, not into the middle of the progress line.
  void Print(std::ostream& out, const std::string& line)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Redraw() ABSL_LOCKS_EXCLUDED(mu_);
  // Blocks until `deadline` or the end of the line. True: the end.
  bool AwaitStop(absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::function<std::string(absl::Duration elapsed)> text_;
  MonotonicClock* const clock_;
  const absl::Time start_;

  absl::Mutex mu_;
  absl::CondVar stopped_;  // stop_ was set.
  TerminalLine line_ ABSL_GUARDED_BY(mu_);
  Progress progress_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_PROGRESS_LINE_H_
