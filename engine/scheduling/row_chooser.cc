#include "engine/scheduling/row_chooser.h"

namespace ddgan {

absl::Span<Trajectory* const> RowChooser::Choose(
    RequestQueue& queue, const VersionTurns& turns, size_t lane,
    const BatchLimits& limits, absl::Time now, FlowTable* flows) {
  request_shares_.clear();
  for (const auto& [id, request] : queue.requests()) {
    if (request.ended) continue;
    request_shares_.push_back({request.flow, request.deadline,
                               static_cast<double>(request.steps_left), 0});
  }
  AssignFinishTags(flows->shares(), absl::MakeSpan(request_shares_),
                   &share_order_);
  Collect(queue, lane);
  DecideBatch(runnable_, turns.last_turns(), flows->shares(), limits, now,
              &decision_);
  chosen_.clear();
  for (size_t row : decision_.rows) chosen_.push_back(candidates_[row]);
  if (!chosen_.empty()) flows->Charge(runnable_, decision_.rows);
  return chosen_;
}

void RowChooser::Collect(RequestQueue& queue, size_t lane) {
  candidates_.clear();
  runnable_.clear();
  auto share = request_shares_.begin();
  for (auto& [id, request] : queue.requests()) {
    if (request.ended) continue;
    const double finish = (share++)->finish;
    for (Trajectory& trajectory : request.trajectories) {
      const bool ready = trajectory.state == Trajectory::State::kReady &&
                         trajectory.lane == lane;
      if (!ready && trajectory.state != Trajectory::State::kQueued) continue;
      candidates_.push_back(&trajectory);
      runnable_.push_back({.version = request.version_number,
                           .started = ready,
                           .accepted_at = request.accepted_at,
                           .flow = request.flow,
                           .finish = finish,
                           .deadline = request.deadline,
                           .urgent = request.urgent,
                           .alone = trajectory.RunsAlone()});
    }
  }
}

}  // namespace ddgan
