// A bar that shows a person how far something is, and the line of a terminal on
// which such a bar is drawn again and again.
#ifndef DDGAN_ENGINE_BASE_PROGRESS_BAR_H_
#define DDGAN_ENGINE_BASE_PROGRESS_BAR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace ddgan {

// "[======>             ]" for `done` of `total`, with `width` (>= 0)
// characters between the brackets. More than `total` is a full bar; of a total
// of 0 nothing is done.
std::string ProgressBar(uint64_t done, uint64_t total, int width);

// Columns of the terminal that the file descriptor is; 0 if it is none or does
// not say.
int TerminalColumns(int descriptor);

// The last line of a terminal, which changes while other lines are printed
// above it. Text is ASCII without control characters. Thread-compatible.
class TerminalLine {
 public:
  // Called with text to write and flush as it is, control characters included.
  using Sink = std::function<void(const std::string& text)>;

  // `columns` is asked before each drawing, so that the line follows a window
  // that is resized; 80 is taken for 0 or an empty function.
  TerminalLine(Sink sink, std::function<int()> columns);

  // Characters that the line has room for just now: one less than the
  // terminal's columns, since a full last column makes some terminals wrap.
  int Width() const;

  // Shows `text` in place of what the line shows; what it has no room for is
  // cut off. `above` is whole lines, each with its line break, or empty; they
  // are printed above the line. One call of the sink, so that nothing that
  // others write comes in between.
  void Draw(const std::string& text, const std::string& above = "");

  // Leaves the line empty, with the cursor at its begin.
  void Erase();

  // Leaves the line as it stands. What is drawn next has a line of its own.
  void End();

 private:
  const Sink sink_;
  const std::function<int()> columns_;
  size_t drawn_ = 0;  // Characters that the line shows.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_PROGRESS_BAR_H_
