// The numbers of a run over its steps, as a file that plotting tools read:
// JSON Lines. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_METRICS_LOG_H_
#define DDGAN_TRAINER_RUN_METRICS_LOG_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ddgan {

// What is not set was not computed, and has no key on its line. A number that
// was computed and is not finite is null: JSON knows neither NaN nor infinity.
struct MetricsRecord {
  int64_t step = 0;    // "step": steps done, this one counted in. >= 1
  int64_t images = 0;  // "images": seen in all
  absl::Time time;     // "time": RFC 3339 in UTC, to the millisecond
  // Nothing of a discriminator (d_..., grad_norm_d, lr_d, r1) is there for a
  // denoiser.
  std::optional<double> d_loss_real;
  std::optional<double> d_loss_fake;
  std::optional<double> g_loss;  // Of the objective: adversarial or denoising.
  std::optional<double> r1;
  std::optional<double> grad_norm_d;  // L2
  std::optional<double> grad_norm_g;
  double lr_g = 0;
  std::optional<double> lr_d;
  double images_per_second = 0;
  double data_wait_share = 0;  // [0, 1]
  // The same of waiting, after backward, for gradients to be summed over
  // several processes.
  std::optional<double> gradient_wait_share;
  // L2 distance of the average from the generator's weights, as a share of the
  // weights' norm.
  std::optional<double> ema_distance;
  int64_t damaged_images = 0;  // Since the process began.
};

// One JSON object, keys as the struct's members in their order, numbers in 17
// significant digits, which give the same double again; ends with a line break.
// At most MetricsLog::kMaxLineBytes.
std::string MetricsLine(const MetricsRecord& record);

// Thread-compatible. One process at a time has a file open.
class MetricsLog {
 public:
  // Lines of a later trainer may hold more than ours, but no more than this.
  static constexpr size_t kMaxLineBytes = 4096;
  // Of a file that a run goes on with: some 600,000 lines, which are in memory
  // while it is opened.
  static constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;

  // Opens `path`, creates it if it is not there, and leaves the lines of steps
  // 1 to `step`, the step that the run goes on from: the file reads as that of
  // an unbroken run. Lines of later steps go, with a torn last line, and lines
  // that are damaged or not in ascending order of steps. If anything goes the
  // file is replaced, whole or not at all. With `step` 0 it is emptied.
  //   DataLoss            no line of the file is ours: it is left alone
  //   ResourceExhausted   the file is larger than kMaxFileBytes, or there is
  //                       no memory for it
  //   FailedPrecondition  a link or no regular file has that name
  //   the file system's errors, with the path
  static absl::StatusOr<std::unique_ptr<MetricsLog>> Open(
      const std::filesystem::path& path, int64_t step);

  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;
  ~MetricsLog();

  // Adds a line with one write. On the file system's error, a full disk's for
  // one, nothing of the line stays, and the log can be used again.
  absl::Status Append(const MetricsRecord& record);

  // Makes the lines so far survive a crash of the machine. Before a state is
  // saved, so that no state is ahead of its lines.
  absl::Status Sync();

 private:
  MetricsLog(std::filesystem::path path, int descriptor, int64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

  const std::filesystem::path path_;
  const int descriptor_;
  int64_t size_;  // Bytes of whole lines.
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_METRICS_LOG_H_
