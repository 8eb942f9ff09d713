// Events that the engine reports; the server turns them into metrics and logs.
#ifndef DDGAN_ENGINE_API_ENGINE_OBSERVER_H_
#define DDGAN_ENGINE_API_ENGINE_OBSERVER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// When the oldest image of each class that waits for its first step was
// accepted; InfiniteFuture where none waits.
struct OldestQueued {
  absl::Time interactive = absl::InfiniteFuture();
  absl::Time batch = absl::InfiniteFuture();

  bool operator==(const OldestQueued&) const = default;
};

// Why a request was refused.
enum class RefusalReason {
  kQueueFull,           // Too many images, or bytes, are unfinished.
  kTooLarge,            // More images, or bytes, than there may ever be.
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
  kStepFailed,  // Of requests that ended because one row failed in three
                // batches or was not finite, or because every device was out
                // for too long.
  kReplayed,    // Of a lane that was taken out, and run again on another.
};
inline constexpr int kNumWasteReasons = 5;

// What became of an attempt to load a version.
enum class ReloadResult {
  kLive,      // Loaded and sound. Whether it is live is OnLiveVersion's.
  kDamaged,   // Size or digest differ from the manifest.
  kInvalid,   // Manifest, config or weights are not what the format asks for.
  kCanary,    // Its images are broken or too far from the live version's.
  kStep,      // A denoising step with it failed.
  kNoMemory,  // Waits for room.
  kError,     // Anything else (I/O, every device out); tried again later.
};
inline constexpr int kNumReloadResults = 7;

// The parts of a load, in their order.
enum class ReloadPhase {
  kRead,    // From the disk, with every check of the files.
  kWarmUp,  // Batches of every size on every lane.
  kCanary,  // Rendering and judging the canary's images.
};
inline constexpr int kNumReloadPhases = 3;

// One generator call that made images of traced requests, among others maybe.
struct TracedStep {
  // One image of a request with GenerationRequest::trace_tag.
  struct Row {
    uint64_t tag = 0;  // The request's.
    // Of the image in the request as it was reserved, also where it is in a
    // part of that (Reservation::Take).
    uint32_t position = 0;
    int step = 0;  // As in EngineObserver::OnStep.
  };

  const ModelIdentity& model;
  const std::string& device;
  int batch_size = 0;  // Rows, of traced and of other requests.
  absl::Span<const Row> rows;
  // By the engine's clock.
  absl::Time start;
  absl::Time end;
  absl::Duration device_time;  // As in EngineObserver::OnStep.
  // Not OK: no row has moved, and each is run again or given up.
  const absl::Status& status;
};

// Thread-safe: methods are called from lane threads, the supervisor's, the one
// that loads and callers of the engine, without any engine lock held, and
// return quickly. Warm-up and other work that no request asked for is not
// reported. An observer overrides the events that it cares for; the others are
// dropped.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;

  // One generator call. `steps[i]` is how many steps row i has after this one:
  // for the ancestral update rule its t, T-1 first and 0 last.
  // `device_time` is the step's time on the device (CUDA events on a GPU).
  virtual void OnStep(const ModelIdentity& /*model*/,
                      const std::string& /*device*/,
                      absl::Span<const int> /*steps*/,
                      absl::Duration /*device_time*/) {}
  // The same of generator calls with a row of a traced request, also of those
  // that failed; before the sinks hear of it. A lane that hangs reports none.
  virtual void OnTracedStep(const TracedStep& /*step*/) {}
  // A request's first step starts.
  virtual void OnQueueWait(const ModelIdentity& /*model*/,
                           absl::Duration /*wait*/) {}
  virtual void OnImages(const ModelIdentity& /*model*/, int /*count*/) {}
  virtual void OnRefused(RefusalReason /*reason*/) {}
  virtual void OnWastedSteps(WasteReason /*reason*/, int /*steps*/) {}
  // Images accepted and waiting for their first step; images between their
  // first and last step; since when the oldest wait.
  virtual void OnQueueState(int /*queued_images*/, int /*inflight_images*/,
                            const OldestQueued& /*oldest*/) {}
  // An attempt to load a version has ended after `duration`. `reason` is OK for
  // ReloadResult::kLive. The digest is empty if it is not known.
  virtual void OnReload(const ModelIdentity& /*model*/, ReloadResult /*result*/,
                        const absl::Status& /*reason*/,
                        absl::Duration /*duration*/) {}
  // One phase of a load has ended well.
  virtual void OnReloadPhase(ReloadPhase /*phase*/,
                             absl::Duration /*duration*/) {}
  // Requests that name no version get this one from now on.
  virtual void OnLiveVersion(const ModelIdentity& /*model*/,
                             absl::Time /*loaded_at*/) {}
  // A version is no longer loaded: its last user is gone and its weights are
  // freed. Not if it was loaded again meanwhile.
  virtual void OnUnloaded(const ModelIdentity& /*model*/) {}
  // The version that the operator wants from now on; nothing for none.
  virtual void OnPin(const std::string& /*model*/,
                     std::optional<int64_t> /*version*/) {}
  // How many versions of the model on disk are refused now, by the result that
  // refused them.
  virtual void OnRefusedVersions(
      const std::string& /*model*/,
      const std::array<int, kNumReloadResults>& /*count*/) {}
  // The model directory can be looked through and watched from now on, or why
  // not: what cannot be watched is looked through at intervals, what cannot be
  // looked through goes on as it is.
  virtual void OnModelDirectory(const absl::Status& /*health*/) {}
  // Something in the model directory looks like a version and is not taken for
  // one; a sentence. Once, until it is gone.
  virtual void OnStrayVersion(const std::string& /*what*/) {}
  // OK: the lane takes work. Otherwise it is out, why, and its images are made
  // again elsewhere.
  virtual void OnDeviceHealth(const std::string& /*device*/,
                              const absl::Status& /*health*/) {}
  // A lane takes batches of at most `max_batch_size` from now on: fewer than
  // before after it ran out of memory, more when that is a while ago.
  virtual void OnBatchLimit(const std::string& /*device*/,
                            int /*max_batch_size*/) {}
  // Something that the operator should know of a lane that works; a sentence.
  virtual void OnDeviceNotice(const std::string& /*device*/,
                              const std::string& /*notice*/) {}
  // Bytes that weights and trajectories hold on the device.
  virtual void OnDeviceMemory(const std::string& /*device*/,
                              int64_t /*bytes*/) {}
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_API_ENGINE_OBSERVER_H_
