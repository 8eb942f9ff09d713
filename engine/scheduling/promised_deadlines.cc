#include "engine/scheduling/promised_deadlines.h"

#include <algorithm>
#include <tuple>

namespace ddgan {

void PromisedDeadlines::Collect(RequestQueue& queue, const VersionTurns& turns,
                                LaneCapacity capacity) {
  entries_.clear();
  work_.clear();
  for (auto& [id, request] : queue.requests()) {
    if (request.ended || request.cancelled ||
        request.deadline == absl::InfiniteFuture()) {
      continue;
    }
    int longest = 0;
    for (const Trajectory& trajectory : request.trajectories) {
      if (trajectory.state == Trajectory::State::kDone) continue;
      longest = std::max(longest, trajectory.step + 1);
    }
    entries_.push_back({request.steps_deadline, id, request.version.get(),
                        request.steps_left, longest, &request});
  }
  for (const Claim* claim : queue.claims()) {
    if (claim->deadline == absl::InfiniteFuture()) continue;
    entries_.push_back({claim->steps_deadline, 0, claim->version.get(),
                        claim->steps(), claim->first_step + 1, nullptr});
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) {
              return std::tie(a.steps_deadline, a.id) <
                     std::tie(b.steps_deadline, b.id);
            });

  const int images = queue.images();
  const auto tick = [&](const ServableVersion& version) {
    return TickTime(version, capacity, images).value_or(absl::ZeroDuration());
  };
  const int rows = std::max(std::min(images, capacity.rows), 1);
  for (const Entry& entry : entries_) {
    const absl::Duration step = tick(*entry.version);
    work_.push_back({entry.steps_deadline,
                     step * static_cast<double>(entry.steps_left) / rows,
                     step * entry.longest, entry.request != nullptr});
  }
  busy_ = absl::ZeroDuration();
  for (const auto& version : turns.versions()) {
    if (version != nullptr) busy_ = std::max(busy_, tick(*version));
  }
}

void PromisedDeadlines::MarkUrgent(absl::Time now) {
  const size_t urgent = CountUrgent(work_, busy_, now);
  for (size_t i = 0; i < entries_.size(); ++i) {
    QueuedRequest* const request = entries_[i].request;
    if (request != nullptr) request->urgent = i < urgent;
  }
}

}  // namespace ddgan
