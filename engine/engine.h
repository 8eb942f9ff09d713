// The one class that the server holds: takes requests, turns them into images,
// tells what models there are. No LibTorch in this header; the implementation
// that owns models and devices is behind CreateEngine.
#ifndef DDGAN_ENGINE_ENGINE_H_
#define DDGAN_ENGINE_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/batch_policy.h"
#include "engine/clock.h"
#include "engine/engine_observer.h"
#include "engine/generation.h"

namespace ddgan {

enum class VersionState {
  kLive,     // Serves requests that name no version.
  kRefused,  // On disk, but not served; `reason` says why.
};

struct ModelVersionStatus {
  ModelIdentity identity;
  VersionState state = VersionState::kRefused;
  std::string reason;          // Empty when live.
  ImageShape shape;            // The rest only when live.
  int num_timesteps = 0;
  int64_t training_step = 0;
  std::string dataset;
  absl::Time loaded_at;
};

// Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;

  // Accepts a request, or refuses it at once:
  //   InvalidArgument    a field out of its range; names field, value, range
  //   NotFound           no such model or version
  //   ResourceExhausted  the queue has no room for `count` images
  //   DeadlineExceeded   the deadline has passed, or cannot be met by the
  //                      measured cost of the work ahead
  //   Unavailable        draining, or every device has been lost for a while
  // After an OK, `sink` gets every image and then OnFinished exactly once; the
  // first call may come before Submit returns.
  virtual absl::StatusOr<Acceptance> Submit(
      const GenerationRequest& request,
      std::shared_ptr<GenerationSink> sink) = 0;

  // Frees the request's places at the next tick; its sink gets Cancelled. No
  // effect on a request that has finished.
  virtual void Cancel(RequestId id) = 0;

  // Every version on disk that was looked at, by model, newest first.
  virtual std::vector<ModelVersionStatus> ListModels() const = 0;

  // True while a model is live, a device works and no drain has begun.
  virtual bool Ready() const = 0;

  // Refuses new requests from now on, waits until those accepted have finished
  // or `deadline` has passed; what is left then finishes with Unavailable.
  virtual void Drain(absl::Time deadline) = 0;
};

struct EngineOptions {
  // Folder <model_root>/<model>/<version>/ as in checkpoint_format.h.
  std::string model_root;
  // The lanes, as ParseDevices (device_list.h) takes them.
  std::string devices = "auto";
  // CPU threads of all CPU lanes together; 0 means one per core. [0, 256]
  int cpu_threads = 0;
  // Trajectories in one generator call: one number for every lane, or one for
  // each. Empty: kDefaultCudaBatch on a GPU; on the CPU, where a larger batch is
  // no faster, kDefaultRowsPerCpuThread times the lane's threads. Each [1, 256]
  std::vector<int> max_batch_sizes;
  // How long the oldest waiting image may be held back for a fuller batch, as
  // above. Empty: not at all. Each [0 s, 1 s]
  std::vector<absl::Duration> max_batch_waits;
  Batching batching = Batching::kStep;
  // Images accepted and not finished; more is ResourceExhausted. [64, 1e6]
  int max_queued_images = 1024;
  // What these and their results take; more is ResourceExhausted. At least
  // 64 MiB.
  int64_t max_queued_bytes = int64_t{1} << 30;
  // Shares of callers (GenerationRequest::caller) of the devices while there is
  // more work than they can do; who is not named has 1. Each in (0, 1000]
  std::map<std::string, double> caller_weights;
  // Runs a batch of every bucket (1, 2, 4, ...) on every lane before a version
  // serves, rather than only the smallest and the largest.
  bool warm_up_every_bucket = true;

  static constexpr int kDefaultCudaBatch = 64;
  static constexpr int kDefaultRowsPerCpuThread = 2;
};

// Loads the newest sound version of every model, warms it up, and starts the
// lanes. Blocks until ready to serve.
//   InvalidArgument     an option out of its range
//   NotFound            model_root is absent
//   FailedPrecondition  no model has a version that can be served; names each
//                       version and why
// `observer` and `clock` must outlive the engine. The destructor drains with a
// deadline of now.
absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(
    const EngineOptions& options, EngineObserver* observer,
    Clock* clock = RealClock());

}  // namespace ddgan

#endif  // DDGAN_ENGINE_ENGINE_H_
