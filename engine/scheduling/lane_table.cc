#include "engine/scheduling/lane_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ddgan {

LaneTable::LaneTable(const std::vector<BatchLimits>& limits) {
  lanes_.reserve(limits.size());
  for (const BatchLimits& of_lane : limits) lanes_.emplace_back(of_lane);
}

LaneCapacity LaneTable::capacity() const {
  LaneCapacity capacity = {0, 0};
  for (const LaneState& lane : lanes_) {
    if (!lane.up) continue;
    ++capacity.lanes;
    capacity.rows += lane.health.max_batch_size();
  }
  return {std::max(capacity.lanes, 1), std::max(capacity.rows, 1)};
}

int LaneTable::CountIdle() const {
  return static_cast<int>(std::count_if(
      lanes_.begin(), lanes_.end(),
      [](const LaneState& lane) { return lane.up && lane.idle; }));
}

void LaneTable::TakeOut(size_t lane, absl::Time now) {
  LaneState& self = lanes_[lane];
  self.up = false;
  self.retry_at = now + self.health.backoff();
  self.forget.clear();
  const bool any_up =
      std::any_of(lanes_.begin(), lanes_.end(),
                  [](const LaneState& other) { return other.up; });
  if (!any_up) all_down_since_ = now;
}

void LaneTable::Return(size_t lane) {
  lanes_[lane].up = true;
  all_down_since_ = absl::InfiniteFuture();
}

void LaneTable::OnCreationFailed(size_t lane, absl::Time now) {
  LaneState& self = lanes_[lane];
  self.health.GrowBackoff();
  OnThreadBack(lane, now);
}

void LaneTable::OnThreadBack(size_t lane, absl::Time now) {
  LaneState& self = lanes_[lane];
  self.hung_rows = 0;
  self.retry_at = now + self.health.backoff();
}

}  // namespace ddgan
