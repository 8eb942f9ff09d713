#include "engine/base/progress_bar.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr int kUnknownColumns = 80;

}  // namespace

std::string ProgressBar(uint64_t done, uint64_t total, int width) {
  const auto cells = static_cast<uint64_t>(width);
  const uint64_t full = total == 0 ? 0 : cells * std::min(done, total) / total;
  std::string bar(full, '=');
  if (full < cells) bar += '>';
  bar.resize(cells, ' ');
  return absl::StrCat("[", bar, "]");
}

int TerminalColumns(int descriptor) {
  winsize size = {};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

TerminalLine::TerminalLine(Sink sink, std::function<int()> columns)
    : sink_(std::move(sink)), columns_(std::move(columns)) {}

int TerminalLine::Width() const {
  const int columns = columns_ ? columns_() : 0;
  return (columns > 0 ? columns : kUnknownColumns) - 1;
}

void TerminalLine::Draw(const std::string& text, const std::string& above) {
  const auto width = static_cast<size_t>(Width());
  const std::string shown = text.substr(0, width);
  const size_t old = std::min(drawn_, width);
  // A line that is only drawn anew is written over: blanks first would flicker.
  const std::string start =
      above.empty() ? "\r" : absl::StrCat("\r", std::string(old, ' '), "\r");
  const size_t left_over =
      above.empty() && old > shown.size() ? old - shown.size() : 0;
  sink_(absl::StrCat(start, above, shown, std::string(left_over, ' ')));
  drawn_ = shown.size();
}

void TerminalLine::Erase() {
  if (drawn_ == 0) return;
  const size_t old = std::min(drawn_, static_cast<size_t>(Width()));
  sink_(absl::StrCat("\r", std::string(old, ' '), "\r"));
  drawn_ = 0;
}

void TerminalLine::End() {
  sink_("\n");
  drawn_ = 0;
}

}  // namespace ddgan
