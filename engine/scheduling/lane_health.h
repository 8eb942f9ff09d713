// What becomes of a lane after each of its steps, as a pure state machine.
#ifndef DDGAN_ENGINE_SCHEDULING_LANE_HEALTH_H_
#define DDGAN_ENGINE_SCHEDULING_LANE_HEALTH_H_

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace ddgan {

// Thread-compatible.
class LaneHealth {
 public:
  enum class Action {
    kGoOn,
    // Some row's output was not finite. Whether that is the fault of its seed
    // or of the device is told by images that are known to be good: the lane
    // makes some before its next batch, and is taken out if they fail.
    kProbe,
    // The same rows again, in batches of at most max_batch_size().
    kRetrySmaller,
    // The runner is given up with all that it holds; another is made after
    // backoff().
    kTakeOut,
  };

  // First time that a lane stays out, the factor by which it grows each time
  // that no good step came between, and its bound.
  static constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
  static constexpr int kBackoffFactor = 2;
  static constexpr absl::Duration kMaxBackoff = absl::Seconds(30);
  // Good steps after which a batch that was halved may double again.
  static constexpr int kStepsToGrow = 1000;
  // Between two probes of a lane, at least.
  static constexpr absl::Duration kProbeInterval = absl::Seconds(10);

  // `max_batch_size` at least 1.
  explicit LaneHealth(int max_batch_size)
      : configured_(max_batch_size), max_batch_size_(max_batch_size) {}

  // A step of `rows` rows ended; if well, with finite output in each or not.
  // Out of memory halves the batch, down to one row; any other error takes the
  // lane out.
  Action OnStep(const absl::Status& status, int rows, bool all_finite,
                absl::Time now);
  // The lane is taken out without a step that failed, or a new runner could not
  // be made: it stays out longer.
  void GrowBackoff();

  // The largest batch that the lane takes now.
  int max_batch_size() const { return max_batch_size_; }
  // How long the lane stays out this time.
  absl::Duration backoff() const { return backoff_; }

 private:
  const int configured_;
  int max_batch_size_;
  int good_steps_ = 0;  // Since the batch was last changed.
  absl::Duration backoff_;
  absl::Time next_probe_ = absl::InfinitePast();
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_LANE_HEALTH_H_
