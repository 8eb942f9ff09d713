#include "trainer/progress.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ddgan {
namespace {

std::string TimeLeft(double seconds) {
  const auto minutes = static_cast<int64_t>(seconds / 60 + 0.5);
  if (minutes < 1) return absl::StrFormat("%.0f s left", seconds);
  if (minutes < 60) return absl::StrCat(minutes, " min left");
  return absl::StrCat(minutes / 60, " h ", minutes % 60, " min left");
}

}  // namespace

std::string ProgressLine(const Progress& progress, int batch_size) {
  std::string line = absl::StrFormat(
      "step %d/%d (%d%%)  %d images  %.1f images/s  D %.3f  G %.3f",
      progress.step, progress.total_steps,
      100 * progress.step / progress.total_steps, progress.images,
      progress.images_per_second, progress.discriminator_loss,
      progress.generator_loss);
  if (progress.r1) absl::StrAppendFormat(&line, "  R1 %.4f", *progress.r1);
  if (progress.images_per_second > 0) {
    const double left =
        static_cast<double>(progress.total_steps - progress.step) * batch_size /
        progress.images_per_second;
    absl::StrAppend(&line, "  ", TimeLeft(left));
  }
  return line;
}

}  // namespace ddgan
