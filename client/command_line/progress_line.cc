#include "client/command_line/progress_line.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ddgan {
namespace {

std::string FormatTime(absl::Duration time) {
  const double seconds = absl::ToDoubleSeconds(time);
  if (seconds < 100.0) return absl::StrFormat("%.1f s", seconds);
  return absl::FormatDuration(absl::Trunc(time, absl::Seconds(1)));
}

}  // namespace

std::string FormatProgress(const Progress& progress, absl::Duration elapsed) {
  std::string counts =
      absl::StrCat(progress.images, "/", progress.total_images, " images, ");
  uint64_t done = progress.images;
  uint64_t total = progress.total_images;
  if (progress.total_steps > 0) {
    done = progress.steps;
    total = progress.total_steps;
    absl::StrAppend(&counts, done, "/", total, " steps, ");
  }
  const double seconds = absl::ToDoubleSeconds(elapsed);
  if (done == 0 || seconds <= 0.0) {
    return absl::StrCat(counts, FormatTime(elapsed));
  }
  const absl::Duration left =
      elapsed * (static_cast<double>(total - done) / done);
  return absl::StrCat(
      ProgressBar(done, total, kProgressBarWidth), " ", counts,
      FormatTime(elapsed),
      absl::StrFormat(", %.1f images/s, ", progress.images / seconds),
      FormatTime(left), " left");
}

ProgressLine::ProgressLine(std::FILE* terminal, uint32_t total_images,
                           MonotonicClock* clock)
    : ProgressLine(
          terminal,
          [this](absl::Duration elapsed) {
            mu_.AssertHeld();
            return FormatProgress(progress_, elapsed);
          },
          clock) {
  absl::MutexLock lock(&mu_);
  progress_.total_images = total_images;
}

ProgressLine::ProgressLine(
    std::FILE* terminal,
    std::function<std::string(absl::Duration elapsed)> text,
    MonotonicClock* clock)
    : text_(std::move(text)),
      clock_(clock),
      start_(clock->Now()),
      line_(
          [terminal](const std::string& drawn) {
            std::fputs(drawn.c_str(), terminal);
            std::fflush(terminal);
          },
          [terminal] { return TerminalColumns(fileno(terminal)); }) {
  if (terminal != nullptr) thread_ = std::thread([this] { Redraw(); });
}

ProgressLine::~ProgressLine() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mu_);
    stop_ = true;
    stopped_.Signal();
  }
  thread_.join();
}

void ProgressLine::Advance(uint32_t images) {
  absl::MutexLock lock(&mu_);
  progress_.images += images;
}

void ProgressLine::SetSteps(uint64_t done, uint64_t total) {
  absl::MutexLock lock(&mu_);
  progress_.steps = done;
  progress_.total_steps = total;
}

void ProgressLine::Print(std::ostream& out, const std::string& line) {
  absl::MutexLock lock(&mu_);
  line_.Erase();
  out << line << std::endl;  // Flushed before the next redraw.
}

void ProgressLine::Redraw() {
  absl::MutexLock lock(&mu_);
  if (AwaitStop(start_ + kDelay)) return;
  do {
    line_.Draw(text_(clock_->Now() - start_));
  } while (!AwaitStop(clock_->Now() + kPeriod));
  line_.Erase();
}

bool ProgressLine::AwaitStop(absl::Time deadline) {
  while (!stop_ && !clock_->WaitUntil(&stopped_, &mu_, deadline)) continue;
  return stop_;
}

}  // namespace ddgan
