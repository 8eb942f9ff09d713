// The requests in flight, and how many images and bytes they take.
#ifndef DDGAN_ENGINE_REQUESTS_REQUEST_QUEUE_H_
#define DDGAN_ENGINE_REQUESTS_REQUEST_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/requests/admission.h"
#include "engine/requests/queued_request.h"

namespace ddgan {

// Keeps each trajectory's state and the counts that follow from it together:
// states change here and nowhere else. Thread-compatible.
class RequestQueue {
 public:
  // In order of acceptance, since ids grow.
  using Requests = std::map<RequestId, QueuedRequest>;

  // Holds room for a request that is not here yet. `claim` stays the caller's,
  // until it is given back.
  void Hold(const Claim* claim);
  void GiveBack(const Claim* claim);

  // Takes a request whose id, class, trajectories and counts are not set yet;
  // sets them for the images that were asked for.
  QueuedRequest& Add(QueuedRequest request, const GenerationRequest& asked);
  // Removes a request that has no unfinished trajectory. Returns the next.
  Requests::iterator Erase(Requests::iterator it);

  // The trajectory is in a batch of `lane` from now on.
  void Start(Trajectory& trajectory, size_t lane);
  // Its step went well; it was not the last.
  void Advance(Trajectory& trajectory);
  // Its step failed or never ended; it has not moved.
  void PutBack(Trajectory& trajectory);
  // Its lane, where its x_t was, is out: any lane may start it again. Not
  // while it is running.
  void Restart(Trajectory& trajectory);
  // It gives up its place, after its last step or before.
  void Retire(Trajectory& trajectory);

  Requests& requests() { return requests_; }
  // Of places that are held.
  const std::set<const Claim*>& claims() const { return claims_; }

  int queued_images() const { return queued_[0] + queued_[1]; }  // kQueued
  int inflight_images() const { return inflight_images_; }  // kReady, kRunning
  // Those and the ones that room is held for.
  int images() const {
    return queued_images() + inflight_images_ + held_images_;
  }
  int64_t bytes() const { return bytes_; }
  // The part of them that is on `account`; nothing on an empty one.
  QueueShare ShareOf(const std::string& account) const;
  OldestQueued Oldest() const;

 private:
  int& QueuedOf(const QueuedRequest& request) {
    return queued_[static_cast<size_t>(request.request_class)];
  }

  // Counts more, or less: bytes in all, and both on an account that is not
  // empty. Images in all follow from their states.
  void Book(const std::string& account, int images, int64_t bytes);

  Requests requests_;
  std::set<const Claim*> claims_;
  RequestId next_request_id_ = 1;
  TrajectoryId next_trajectory_id_ = 1;
  std::array<int, 2> queued_ = {};  // By RequestClass.
  int inflight_images_ = 0;
  int held_images_ = 0;
  int64_t bytes_ = 0;
  std::map<std::string, QueueShare> shares_;  // Of accounts that have some.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_REQUEST_QUEUE_H_
