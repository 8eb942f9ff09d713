// A request in flight and its images, as the parts of the scheduler see them.
#ifndef DDGAN_ENGINE_REQUESTS_QUEUED_REQUEST_H_
#define DDGAN_ENGINE_REQUESTS_QUEUED_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/lanes/batch_runner.h"
#include "engine/requests/result_outbox.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

struct QueuedRequest;

// One image in flight.
struct Trajectory {
  // A trajectory that fails in this many batches takes its request with it.
  static constexpr int kMaxAttempts = 3;

  enum class State {
    kQueued,   // Waits for its first step.
    kReady,    // Between two steps.
    kRunning,  // In a lane's current batch.
    kDone,     // Delivered or dropped.
  };

  // Steps that were run since it started, and are lost with it.
  int steps_run() const;
  // Of its image in the request.
  uint32_t position() const;
  // Whether no other row may share its next batch: this step failed with it
  // before, or it has one attempt left.
  bool RunsAlone() const {
    return step == failed_step || attempts == kMaxAttempts - 1;
  }

  QueuedRequest* request = nullptr;
  TrajectoryId id = 0;
  ImageNoise noise;
  int step = 0;          // Steps after the one that runs next or now.
  size_t lane = 0;       // Meaningful once it has started.
  int attempts = 0;      // Steps of it that failed.
  int failed_step = -1;  // Of the last of them, as `step`.
  State state = State::kQueued;
};

struct QueuedRequest {
  RequestId id = 0;
  RequestClass request_class = RequestClass::kInteractive;
  std::shared_ptr<const ServableVersion> version;
  size_t version_number = 0;  // In VersionTurns.
  size_t flow = 0;            // In FlowTable.
  std::string account;        // GenerationRequest's.
  int first_step = 0;         // A trajectory's steps after its first one.
  int64_t bytes = 0;          // What it counts against max_queued_bytes.
  // Planes of the guide's picture; null without one.
  std::shared_ptr<const std::vector<float>> guide;
  bool previews = false;
  uint64_t trace_tag = 0;  // 0: it is not traced.
  // By position here: the image's position in the request as it was reserved,
  // of which this may be a part.
  std::vector<uint32_t> reserved_positions;
  PixelFormat pixel_format = PixelFormat::kUint8;
  absl::Time accepted_at;
  absl::Time deadline;
  absl::Time steps_deadline;  // StepsDeadline (deadline_policy.h).
  absl::Time started_at = absl::InfiniteFuture();  // Of its first step.
  bool cancelled = false;
  // Not OK: one of its images cannot be made, so the request ends with this.
  absl::Status failure;
  // OnFinished has been posted; rows that still run are waste.
  bool ended = false;
  WasteReason waste_reason = WasteReason::kCancelled;  // If ended early.
  bool urgent = false;     // As of the lane's last look at deadlines.
  size_t unfinished = 0;   // Trajectories that are not kDone.
  int64_t steps_left = 0;  // Of all of them.
  std::vector<Trajectory> trajectories;
  std::shared_ptr<ResultOutbox> outbox;
};

inline int Trajectory::steps_run() const { return request->first_step - step; }

inline uint32_t Trajectory::position() const {
  return static_cast<uint32_t>(this - request->trajectories.data());
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_QUEUED_REQUEST_H_
