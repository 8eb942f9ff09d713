#include "trainer/run/progress_display.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(200);
constexpr int kUnknownColumns = 80;

}  // namespace

absl::StatusOr<ProgressMode> ParseProgressMode(absl::string_view text) {
  if (text == "auto") return ProgressMode::kAuto;
  if (text == "bar") return ProgressMode::kBar;
  if (text == "lines") return ProgressMode::kLines;
  return absl::InvalidArgumentError(
      absl::StrCat("--progress is '", text, "', must be auto, bar or lines"));
}

int TerminalColumns(int descriptor) {
  winsize size = {};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

ProgressDisplay::ProgressDisplay(const Options& options, Sink sink,
                                 Clock* clock)
    : options_(options),
      bar_(options.mode == ProgressMode::kBar ||
           (options.mode == ProgressMode::kAuto && options.is_terminal)),
      sink_(std::move(sink)),
      clock_(clock) {}

ProgressDisplay::~ProgressDisplay() { Finish(); }

void ProgressDisplay::Update(const Progress& progress) {
  const bool last = progress.step >= progress.total_steps;
  absl::MutexLock lock(&mu_);
  if (!bar_) {
    if (last || progress.step % options_.log_every == 0) {
      sink_(absl::StrCat(ProgressLine(progress, options_.batch_size), "\n"));
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
  sink_("\n");
  progress_.reset();
  drawn_ = 0;
}

void ProgressDisplay::Redraw(const std::string& text) {
  const size_t width = Width();  // Once: the window may change meanwhile.
  const std::string bar =
      ProgressBar(*progress_, options_.batch_size, static_cast<int>(width));
  const size_t old = std::min(drawn_, width);
  // A bar that is only redrawn is written over: blanks first would flicker.
  const std::string start =
      text.empty() ? "\r" : absl::StrCat("\r", std::string(old, ' '), "\r");
  const std::string rest(
      text.empty() && old > bar.size() ? old - bar.size() : 0, ' ');
  // In one piece, so that nothing that others write comes in between.
  sink_(absl::StrCat(start, text, bar, rest));
  drawn_ = bar.size();
  drawn_at_ = clock_->Now();
}

int ProgressDisplay::Width() const {
  const int columns = options_.columns ? options_.columns() : 0;
  // A full last column makes some terminals wrap.
  return (columns > 0 ? columns : kUnknownColumns) - 1;
}

}  // namespace ddgan
