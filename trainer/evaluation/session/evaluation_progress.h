// How far an evaluation is, on stderr: a bar on a terminal, else lines.
#ifndef DDGAN_TRAINER_EVALUATION_SESSION_EVALUATION_PROGRESS_H_
#define DDGAN_TRAINER_EVALUATION_SESSION_EVALUATION_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "engine/base/clock.h"
#include "engine/base/progress_bar.h"

namespace ddgan {

struct PartProgress {
  std::string part;  // What is done: "features of mnist".
  int64_t done = 0;
  int64_t total = 0;
  int64_t before = 0;  // Of `done`, what was there at the start.
  absl::Duration elapsed;
};

// "features of mnist: 1024 of 60000, 61.2 a second, 16 min left". Rate and time
// left only once something is done. Pure.
std::string ProgressText(const PartProgress& progress);

// One part after the other. Thread-compatible.
class EvaluationProgress {
 public:
  struct Options {
    bool is_terminal = false;
    std::function<int()> columns;  // Of the terminal.
  };
  // `sink` gets text to write and flush. `clock` outlives it.
  EvaluationProgress(Options options, TerminalLine::Sink sink, Clock* clock);
  ~EvaluationProgress();

  // A part begins, of which `before` of `total` are there already. Ends the one
  // before.
  void Begin(std::string part, int64_t total, int64_t before = 0);
  // Draws at most five times a second, and prints a line at most every 10 s.
  void Update(int64_t done);
  // The part is done. Draws nothing more.
  void End();
  // A whole sentence, above the bar.
  void Print(absl::string_view sentence);

 private:
  void Draw(const std::string& above);

  const Options options_;
  const TerminalLine::Sink sink_;
  Clock* const clock_;
  TerminalLine line_;
  std::optional<PartProgress> progress_;
  absl::Time started_;
  absl::Time drawn_;
};

// To stderr.
std::function<void(const std::string&)> StandardErrorSink();

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_SESSION_EVALUATION_PROGRESS_H_
