#include "server/connections/drain_policy.h"

#include <algorithm>

namespace ddgan {

DrainVerdict JudgeDrain(const DrainView& view, absl::Time told,
                        absl::Time deadline, absl::Time now) {
  if (view.calls_in_flight == 0) {
    if (!view.has_connections) return DrainVerdict::kDone;
    const absl::Time quiet_since = std::max(told, view.last_call_ended);
    if (now - quiet_since >= kDrainQuietTime) return DrainVerdict::kDone;
  }
  return now >= deadline ? DrainVerdict::kOutOfTime : DrainVerdict::kWait;
}

}  // namespace ddgan
