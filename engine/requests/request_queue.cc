#include "engine/requests/request_queue.h"

#include <algorithm>
#include <utility>

namespace ddgan {

void RequestQueue::Hold(const Claim* claim) {
  claims_.insert(claim);
  held_images_ += claim->images;
  Book(claim->account, claim->images, claim->bytes);
}

void RequestQueue::GiveBack(const Claim* claim) {
  claims_.erase(claim);
  held_images_ -= claim->images;
  Book(claim->account, -claim->images, -claim->bytes);
}

void RequestQueue::Book(const std::string& account, int images, int64_t bytes) {
  bytes_ += bytes;
  if (account.empty()) return;
  const auto share = shares_.try_emplace(account).first;
  share->second.images += images;
  share->second.bytes += bytes;
  if (share->second.images == 0 && share->second.bytes == 0) {
    shares_.erase(share);
  }
}

QueueShare RequestQueue::ShareOf(const std::string& account) const {
  const auto found = shares_.find(account);
  return found == shares_.end() ? QueueShare() : found->second;
}

QueuedRequest& RequestQueue::Add(QueuedRequest request,
                                 const GenerationRequest& asked) {
  const RequestId id = next_request_id_++;
  QueuedRequest& added =
      requests_.emplace(id, std::move(request)).first->second;
  added.id = id;
  added.request_class = asked.request_class;
  added.account = asked.account;
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
  QueuedOf(added) += static_cast<int>(asked.count);
  Book(added.account, static_cast<int>(asked.count), added.bytes);
  return added;
}

RequestQueue::Requests::iterator RequestQueue::Erase(Requests::iterator it) {
  Book(it->second.account, 0, -it->second.bytes);
  return requests_.erase(it);
}

void RequestQueue::Start(Trajectory& trajectory, size_t lane) {
  if (trajectory.state == Trajectory::State::kQueued) {
    trajectory.lane = lane;
    --QueuedOf(*trajectory.request);
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
  ++QueuedOf(*trajectory.request);
}

void RequestQueue::Retire(Trajectory& trajectory) {
  int& places = trajectory.state == Trajectory::State::kQueued
                    ? QueuedOf(*trajectory.request)
                    : inflight_images_;
  --places;
  Book(trajectory.request->account, -1, 0);
  trajectory.state = Trajectory::State::kDone;
  trajectory.request->steps_left -= trajectory.step + 1;
  --trajectory.request->unfinished;
}

OldestQueued RequestQueue::Oldest() const {
  OldestQueued oldest;
  std::array<bool, 2> looked_for = {queued_[0] > 0, queued_[1] > 0};
  for (const auto& [id, request] : requests_) {
    if (!looked_for[0] && !looked_for[1]) break;
    bool& wanted = looked_for[static_cast<size_t>(request.request_class)];
    if (!wanted ||
        std::none_of(request.trajectories.begin(), request.trajectories.end(),
                     [](const Trajectory& trajectory) {
                       return trajectory.state == Trajectory::State::kQueued;
                     })) {
      continue;
    }
    wanted = false;
    (request.request_class == RequestClass::kBatch ? oldest.batch
                                                   : oldest.interactive) =
        request.accepted_at;
  }
  return oldest;
}

}  // namespace ddgan
