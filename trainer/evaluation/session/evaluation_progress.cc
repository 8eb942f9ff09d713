#include "trainer/evaluation/session/evaluation_progress.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ddgan {
namespace {

constexpr int kBarWidth = 20;
constexpr absl::Duration kRedrawInterval = absl::Milliseconds(200);
constexpr absl::Duration kLineInterval = absl::Seconds(10);

std::string TimeText(absl::Duration time) {
  const double seconds = absl::ToDoubleSeconds(time);
  if (seconds < 100) return absl::StrFormat("%.0f s", seconds);
  if (seconds < 100 * 60) return absl::StrFormat("%.0f min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

}  // namespace

std::string ProgressText(const PartProgress& progress) {
  std::string text =
      absl::StrCat(progress.part, ": ", progress.done, " of ", progress.total);
  const auto fresh = static_cast<double>(progress.done - progress.before);
  const double seconds = absl::ToDoubleSeconds(progress.elapsed);
  if (fresh > 0 && seconds > 0) {
    const double rate = fresh / seconds;
    absl::StrAppendFormat(&text, ", %.1f a second", rate);
    if (progress.done < progress.total) {
      const auto left = static_cast<double>(progress.total - progress.done);
      absl::StrAppend(&text, ", ", TimeText(absl::Seconds(left / rate)),
                      " left");
    }
  }
  return text;
}

EvaluationProgress::EvaluationProgress(Options options, TerminalLine::Sink sink,
                                       Clock* clock)
    : options_(std::move(options)),
      sink_(std::move(sink)),
      clock_(clock),
      line_(sink_, options_.columns) {}

EvaluationProgress::~EvaluationProgress() { End(); }

void EvaluationProgress::Begin(std::string part, int64_t total,
                               int64_t before) {
  End();
  progress_ = PartProgress{std::move(part), before, total, before, {}};
  started_ = drawn_ = clock_->Now();
}

void EvaluationProgress::Update(int64_t done) {
  if (!progress_.has_value()) return;
  progress_->done = done;
  const absl::Time now = clock_->Now();
  progress_->elapsed = now - started_;
  const absl::Duration interval =
      options_.is_terminal ? kRedrawInterval : kLineInterval;
  if (now - drawn_ < interval) return;
  drawn_ = now;
  if (options_.is_terminal) {
    Draw("");
  } else {
    sink_(absl::StrCat(ProgressText(*progress_), "\n"));
  }
}

void EvaluationProgress::End() {
  if (!progress_.has_value()) return;
  progress_.reset();
  if (options_.is_terminal) line_.Erase();
}

void EvaluationProgress::Print(absl::string_view sentence) {
  const std::string text = absl::StrCat(sentence, "\n");
  if (options_.is_terminal && progress_.has_value()) {
    Draw(text);
  } else {
    sink_(text);
  }
}

void EvaluationProgress::Draw(const std::string& above) {
  line_.Draw(absl::StrCat(ProgressBar(static_cast<uint64_t>(progress_->done),
                                      static_cast<uint64_t>(progress_->total),
                                      kBarWidth),
                          " ", ProgressText(*progress_)),
             above);
}

std::function<void(const std::string&)> StandardErrorSink() {
  return [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
}

}  // namespace ddgan
