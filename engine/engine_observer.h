// Events that the engine reports; the server turns them into metrics and logs.
#ifndef DDGAN_ENGINE_ENGINE_OBSERVER_H_
#define DDGAN_ENGINE_ENGINE_OBSERVER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/generation.h"

namespace ddgan {

// Why a request was turned away.
enum class RejectReason {
  kQueueFull,           // Too many images, or bytes, are unfinished.
  kDeadline,            // The deadline had passed.
  kUnmeetableDeadline,  // The work ahead takes longer than the deadline allows.
  kDraining,
  kNoDevice,  // Every lane has been out for a while.
};

// Why steps already run were of no use to anyone.
enum class WasteReason {
  kCancelled,
  kDeadline,
  kShutdown,
  kStepFailed,  // Of requests that ended because a step failed again and again.
  kReplayed,    // Lost with a lane, and run again on another.
};
inline constexpr int kNumWasteReasons = 5;

// Thread-safe: methods are called from lane threads and from callers of the
// engine, without any engine lock held, and return quickly. Warm-up and other
// work that no request asked for is not reported.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;

  // One generator call. `steps[i]` is row i's t, T-1 first and 0 last.
  // `device_time` is the step's time on the device (CUDA events on a GPU).
  virtual void OnStep(const ModelIdentity& model, const std::string& device,
                      absl::Span<const int> steps,
                      absl::Duration device_time) = 0;
  // A request's first step starts.
  virtual void OnQueueWait(const ModelIdentity& model, absl::Duration wait) = 0;
  virtual void OnImages(const ModelIdentity& model, int count) = 0;
  virtual void OnRejected(RejectReason reason) = 0;
  virtual void OnWastedSteps(WasteReason reason, int steps) = 0;
  // Images accepted and waiting for their first step; images between their
  // first and last step; when the oldest waiting one was accepted
  // (InfiniteFuture if none waits).
  virtual void OnQueueState(int queued_images, int inflight_images,
                            absl::Time oldest_queued_since) = 0;
  // A version was loaded (OK) or refused. `duration` is the time it took.
  virtual void OnReload(const ModelIdentity& model, const absl::Status& result,
                        absl::Duration duration) = 0;
  // OK: the lane takes work. Otherwise it is out, why, and its images are made
  // again elsewhere.
  virtual void OnDeviceHealth(const std::string& device,
                              const absl::Status& health) = 0;
  // A lane takes batches of at most `max_batch_size` from now on: fewer than
  // before after it ran out of memory, more when that is a while ago.
  virtual void OnBatchLimit(const std::string& device, int max_batch_size) = 0;
  // Bytes that weights and trajectories hold on the device.
  virtual void OnDeviceMemory(const std::string& device, int64_t bytes) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_ENGINE_OBSERVER_H_
