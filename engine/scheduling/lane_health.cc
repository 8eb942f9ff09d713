#include "engine/scheduling/lane_health.h"

#include <algorithm>

namespace ddgan {

LaneHealth::Action LaneHealth::OnStep(const absl::Status& status, int rows,
                                      bool all_finite, absl::Time now) {
  if (status.ok() && !all_finite) {
    if (now < next_probe_) return Action::kGoOn;
    next_probe_ = now + kProbeInterval;
    return Action::kProbe;
  }
  if (status.ok()) {
    backoff_ = absl::ZeroDuration();
    if (max_batch_size_ < configured_ && ++good_steps_ >= kStepsToGrow) {
      max_batch_size_ = std::min(2 * max_batch_size_, configured_);
      good_steps_ = 0;
    }
    return Action::kGoOn;
  }
  if (absl::IsResourceExhausted(status) && rows > 1) {
    max_batch_size_ = std::max(1, rows / 2);
    good_steps_ = 0;
    return Action::kRetrySmaller;
  }
  GrowBackoff();
  return Action::kTakeOut;
}

void LaneHealth::GrowBackoff() {
  backoff_ = backoff_ == absl::ZeroDuration()
                 ? kFirstBackoff
                 : std::min(backoff_ * kBackoffFactor, kMaxBackoff);
}

}  // namespace ddgan
