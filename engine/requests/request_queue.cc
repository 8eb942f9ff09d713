#include "engine/requests/request_queue.h"

#include <algorithm>
#include <utility>

namespace ddgan {

void RequestQueue::Hold(const Claim* claim) {
  claims_.insert(claim);
  held_images_ += claim->images;
  bytes_ += claim->bytes;
}

void RequestQueue::GiveBack(const Claim* claim) {
  claims_.erase(claim);
  held_images_ -= claim->images;
  bytes_ -= claim->bytes;
}

QueuedRequest& RequestQueue::Add(QueuedRequest request,
                                 const GenerationRequest& asked) {
  const RequestId id = next_request_id_++;
  QueuedRequest& added =
      requests_.emplace(id, std::move(request)).first->second;
  added.id = id;
  added.request_class = asked.request_class;
  added.unfinished = asked.count;
  added.steps_left = int64_t{asked.count} * (added.first_step + 1);
  added.trajectories.resize(asked.count);
  for (uint32_t i = 0; i < asked.count; ++i) {
    Trajectory& trajectory = added.trajectories[i];
    trajectory.request = &added;
    trajectory.id = next_trajectory_id_++;
    trajectory.noise = asked.NoiseOf(i);
    trajectory.step = added.first_step;
  }
  queued_images_ += static_cast<int>(asked.count);
  bytes_ += added.bytes;
  return added;
}

RequestQueue::Requests::iterator RequestQueue::Erase(Requests::iterator it) {
  bytes_ -= it->second.bytes;
  return requests_.erase(it);
}

void RequestQueue::Start(Trajectory& trajectory, size_t lane) {
  if (trajectory.state == Trajectory::State::kQueued) {
    trajectory.lane = lane;
    --queued_images_;
    ++inflight_images_;
  }
  trajectory.state = Trajectory::State::kRunning;
}

void RequestQueue::Advance(Trajectory& trajectory) {
  --trajectory.step;
  --trajectory.request->steps_left;
  trajectory.state = Trajectory::State::kReady;
}

void RequestQueue::PutBack(Trajectory& trajectory) {
  trajectory.state = Trajectory::State::kReady;
  // Before its first step it has no x_t on the lane.
  if (trajectory.steps_run() == 0) Restart(trajectory);
}

void RequestQueue::Restart(Trajectory& trajectory) {
  trajectory.request->steps_left += trajectory.steps_run();
  trajectory.step = trajectory.request->first_step;
  trajectory.state = Trajectory::State::kQueued;
  --inflight_images_;
  ++queued_images_;
}

void RequestQueue::Retire(Trajectory& trajectory) {
  int& places = trajectory.state == Trajectory::State::kQueued
                    ? queued_images_
                    : inflight_images_;
  --places;
  trajectory.state = Trajectory::State::kDone;
  trajectory.request->steps_left -= trajectory.step + 1;
  --trajectory.request->unfinished;
}

OldestQueued RequestQueue::Oldest() const {
  OldestQueued oldest;
  if (queued_images_ == 0) return oldest;
  for (const auto& [id, request] : requests_) {
    absl::Time& since = request.request_class == RequestClass::kBatch
                            ? oldest.batch
                            : oldest.interactive;
    if (since != absl::InfiniteFuture()) continue;
    if (std::any_of(request.trajectories.begin(), request.trajectories.end(),
                    [](const Trajectory& trajectory) {
                      return trajectory.state == Trajectory::State::kQueued;
                    })) {
      since = request.accepted_at;
    }
  }
  return oldest;
}

}  // namespace ddgan
