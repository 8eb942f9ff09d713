#include "trainer/run/training_progress.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/progress_bar.h"

namespace ddgan {
namespace {

// Between two pieces of a line.
constexpr char kGap[] = "  ";

// Characters of the bar, brackets counted in.
constexpr int kMinBar = 12;
constexpr int kMaxBar = 40;

// Beyond some thousand years a remaining time says nothing, and would overflow.
constexpr double kMaxSeconds = 1e11;

std::string Amount(double seconds) {
  const auto minutes = static_cast<int64_t>(seconds / 60 + 0.5);
  if (minutes < 1) return absl::StrFormat("%.0f s", seconds);
  if (minutes < 60) return absl::StrCat(minutes, " min");
  return absl::StrCat(minutes / 60, " h ", minutes % 60, " min");
}

// Empty if nobody knows.
std::string TimeLeft(const TrainingProgress& progress, int batch_size) {
  const double seconds =
      static_cast<double>(progress.total_steps - progress.step) * batch_size /
      progress.images_per_second;
  if (!(seconds >= 0 && seconds < kMaxSeconds)) return "";
  return absl::StrCat(Amount(seconds), " left");
}

double ShareDone(const TrainingProgress& progress) {
  if (progress.total_steps < 1) return 0;
  return std::clamp(static_cast<double>(progress.step) / progress.total_steps,
                    0.0, 1.0);
}

std::string DataWait(const TrainingProgress& progress) {
  return absl::StrFormat("data %.0f%%", 100 * progress.data_wait_share);
}

}  // namespace

std::string FormatTrainingLine(const TrainingProgress& progress,
                               int batch_size) {
  std::string line = absl::StrFormat(
      "step %d/%d (%d%%)  %d images  %.1f images/s", progress.step,
      progress.total_steps, static_cast<int>(100 * ShareDone(progress)),
      progress.images, progress.images_per_second);
  if (progress.discriminator_loss)
    absl::StrAppendFormat(&line, "  D %.3f", *progress.discriminator_loss);
  absl::StrAppendFormat(&line, "  G %.3f", progress.generator_loss);
  if (progress.r1) absl::StrAppendFormat(&line, "  R1 %.4f", *progress.r1);
  if (progress.discriminator_gradient_norm) {
    absl::StrAppendFormat(&line, "  |grad D| %.3g",
                          *progress.discriminator_gradient_norm);
  }
  if (progress.generator_gradient_norm) {
    absl::StrAppendFormat(&line, "  |grad G| %.3g",
                          *progress.generator_gradient_norm);
  }
  absl::StrAppend(&line, kGap, DataWait(progress), kGap,
                  Amount(std::clamp(absl::ToDoubleSeconds(progress.elapsed),
                                    0.0, kMaxSeconds)),
                  " so far");
  const std::string left = TimeLeft(progress, batch_size);
  if (!left.empty()) absl::StrAppend(&line, kGap, left);
  return line;
}

std::string FormatTrainingBar(const TrainingProgress& progress, int batch_size,
                              int columns) {
  struct Piece {
    std::string text;
    int importance;  // Larger stays longer.
    bool shown = false;
  };
  std::string losses;
  if (progress.discriminator_loss)
    losses = absl::StrFormat("D %.2f ", *progress.discriminator_loss);
  absl::StrAppendFormat(&losses, "G %.2f", progress.generator_loss);
  if (progress.r1) absl::StrAppendFormat(&losses, " R1 %.2f", *progress.r1);
  std::string gradients;
  if (progress.generator_gradient_norm) {
    gradients = "|grad|";
    if (progress.discriminator_gradient_norm) {
      absl::StrAppendFormat(&gradients, " D %.2g",
                            *progress.discriminator_gradient_norm);
    }
    absl::StrAppendFormat(&gradients, " G %.2g",
                          *progress.generator_gradient_norm);
  }
  std::array<Piece, 5> pieces = {{
      {absl::StrFormat("%.1f images/s", progress.images_per_second), 3},
      {losses, 4},
      {gradients, 1},
      {DataWait(progress), 2},
      {TimeLeft(progress, batch_size), 5},
  }};
  const std::string count =
      absl::StrCat(progress.step, "/", progress.total_steps);

  const size_t width = std::max(columns, 0);
  size_t used = kMinBar + 1 + count.size();
  if (used > width) return count.substr(0, width);
  for (int importance = 5; importance >= 1; --importance) {
    for (Piece& piece : pieces) {
      if (piece.importance != importance || piece.text.empty()) continue;
      const size_t more = sizeof(kGap) - 1 + piece.text.size();
      piece.shown = used + more <= width;
      if (piece.shown) used += more;
    }
  }

  const int cells =
      static_cast<int>(std::min<size_t>(kMinBar + (width - used), kMaxBar)) - 2;
  std::string bar = absl::StrCat(
      ProgressBar(progress.step, progress.total_steps, cells), " ", count);
  for (const Piece& piece : pieces) {
    if (piece.shown) absl::StrAppend(&bar, kGap, piece.text);
  }
  return bar;
}

}  // namespace ddgan
