// The one class that the server holds: takes requests, turns them into images,
// tells what models there are. No LibTorch in this header; the implementation
// that owns models and devices is behind CreateEngine.
#ifndef DDGAN_ENGINE_API_ENGINE_H_
#define DDGAN_ENGINE_API_ENGINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/canary_bounds.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/api/precision.h"
#include "engine/base/clock.h"

namespace ddgan {

struct ServableVersion;  // engine/requests/servable_version.h

enum class VersionState {
  kOnDisk,   // Complete on disk and not loaded: older than the ones kept, or
             // newer than the one pinned.
  kLoading,  // Being read, or on trial.
  kWaiting,  // To be loaded after a while; `reason` says why it is not yet.
  kLive,     // Loaded; serves requests that name no version.
  kLoaded,   // Serves requests that name it.
  kRefused,  // On disk, but not served; `reason` says why.
};

struct ModelVersionStatus {
  ModelIdentity identity;  // The digest is empty while it is not known.
  VersionState state = VersionState::kRefused;
  // Of kRefused and kWaiting; also of a loaded version whose files have changed
  // since.
  std::string reason;
  ImageShape shape;  // The rest only when live or loaded.
  int num_timesteps = 0;
  int evaluations = 0;  // Of the network per image, as in Acceptance.
  int64_t training_step = 0;
  std::string dataset;
  absl::Time loaded_at;
};

// A model in the model directory.
struct ModelStatus {
  std::string model;
  // The version that the operator wants, whatever newer ones there are.
  std::optional<int64_t> pinned;
  // Newest first: those on disk that are complete, and those that are loaded.
  std::vector<ModelVersionStatus> versions;
};

// The version that a request will run on, whatever goes live meanwhile. While
// it is held, that version's weights stay in memory.
struct ResolvedModel {
  ModelIdentity identity;
  ImageShape shape;
  int num_timesteps = 0;
  int evaluations = 0;  // Of the network per image, as in Acceptance.
  // The engine's own; never null from Resolve.
  std::shared_ptr<const ServableVersion> version;
};

// A request's place in the engine: room in the queue for its images and bytes,
// and time before its deadline. Its destructor gives back a place that was not
// submitted; it must not outlive the engine.
class Reservation {
 public:
  virtual ~Reservation() = default;

  // Moves the room for the images at `positions` of the request, ascending and
  // in range, none of which was taken before, to a place of its own, in which
  // they are at 0, 1, ... Nothing is admitted anew, so it cannot be refused.
  // The place that is left keeps the room for the others: more can be taken
  // from it, but it is not to be submitted any more. Each of the two has room
  // for the guide.
  virtual std::unique_ptr<Reservation> Take(
      absl::Span<const uint32_t> positions) = 0;
};

// Keeps a listener to Engine::WatchModels; its destructor waits for a call that
// is under way, after which none follows. Not to be destroyed by the listener.
class ModelWatch {
 public:
  virtual ~ModelWatch() = default;
};

// Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;

  // The version that a request for `model` and `version` runs on, by
  // GenerationRequest's rules for both. Never waits.
  //   InvalidArgument  no name, but several models; version < 1
  //   NotFound         no such model or version
  virtual absl::StatusOr<ResolvedModel> Resolve(
      const std::string& model, std::optional<int64_t> version) const = 0;

  // Takes the request's place on `model`, or refuses it at once; request.model
  // and request.version are not looked at. Nothing runs before Submit.
  //   InvalidArgument    a field out of its range; names field, value, range.
  //                      Also `count` images, or the bytes that they and the
  //                      unpacked guide take, for which no queue has room
  //   ResourceExhausted  the queue has no room for them now
  //   DeadlineExceeded   the deadline has passed, or cannot be met by the
  //                      measured cost of the work ahead
  //   Unavailable        draining, or every device has been out for a while
  virtual absl::StatusOr<std::unique_ptr<Reservation>> Reserve(
      const ResolvedModel& model, const GenerationRequest& request) = 0;

  // Queues the images of a place that Reserve gave. `guide` is the picture of
  // the request's guide, null without one. On an error the place is given back:
  //   InvalidArgument   the picture does not have the model's size and is not
  //                     to be resized
  //   DeadlineExceeded  the deadline passed meanwhile
  //   Unavailable       draining
  // After an OK, `sink` gets every image and then OnFinished exactly once; the
  // first call may come before Submit returns.
  virtual absl::StatusOr<Acceptance> Submit(
      std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide,
      std::shared_ptr<GenerationSink> sink) = 0;

  // Frees the request's places at the supervisor's next sweep or a lane's next
  // tick, whichever is first; its sink gets Cancelled. No effect on a request
  // that has finished.
  virtual void Cancel(RequestId id) = 0;

  // Every model in the model directory, by ascending name.
  virtual std::vector<ModelStatus> ListModels() const = 0;

  // What in the model directory looks like a version and is not taken for one,
  // a sentence each, for a person.
  virtual std::vector<std::string> ListStrays() const { return {}; }

  // `version` is to serve the requests for `model` that name none, and no newer
  // one takes its place until Unpin. If it is loaded it is live when this
  // returns, else once it has been loaded and found sound; until then, and if
  // it is refused, the live one stays.
  //   NotFound            no such model or version; names those there are
  //   FailedPrecondition  the version is refused; says why
  //   Unavailable         the pin could not be made durable (state_dir); it is
  //                       not in force, but may be after a restart
  virtual absl::Status Pin(const std::string& model, int64_t version) = 0;
  // The newest sound version is to be live again. OK also if none is pinned.
  // NotFound and Unavailable as above.
  virtual absl::Status Unpin(const std::string& model) = 0;
  // Pins the newest loaded version that is older than the live one, without one
  // the newest on disk that is not refused, and returns its number.
  // FailedPrecondition if there is none; else as Pin.
  virtual absl::StatusOr<int64_t> RollBack(const std::string& model) = 0;

  // `listener` is called after each change of what ListModels returns, from any
  // thread, never twice at once, without a lock of the engine held; it returns
  // quickly. Changes close to one another may come as one call. The watch must
  // not outlive the engine.
  virtual std::unique_ptr<ModelWatch> WatchModels(
      std::function<void()> listener) = 0;

  // True while a model is live, a device works and no drain has begun.
  virtual bool Ready() const = 0;

  // OK while the process can go on serving, or may again without a new start.
  // Internal: a lane hangs in a call that will never return, and none has
  // served for a minute; names the lane, what it hangs in and since when. Or
  // none has served for ten minutes. Only a new process helps, or may.
  virtual absl::Status Liveness() const = 0;

  // Refuses new requests from now on, waits until those accepted have finished
  // or `deadline` has passed; what is left then finishes with Unavailable.
  virtual void Drain(absl::Time deadline) = 0;
};

struct EngineOptions {
  // Folder <model_root>/<model>/<version>/ as in checkpoint_format.h.
  std::string model_root;
  // The lanes, as ParseDevices (device_list.h) takes them.
  std::string devices = "auto";
  // CPU threads of all CPU lanes together; 0 means as many as the process has
  // CPUs (engine/base/host_cpus.h). [0, 256]
  int cpu_threads = 0;
  // Binds each of these threads to a CPU of its own, lane by lane, in the order
  // of the CPUs that the process may use.
  bool cpu_affinity = false;
  // Trajectories in one generator call: one number for every lane, or one for
  // each. Empty: kDefaultCudaBatch on a GPU; on the CPU, where a larger batch
  // is no faster, kDefaultRowsPerCpuThread times the lane's threads. Each [1,
  // 256]
  std::vector<int> max_batch_sizes;
  // How long the oldest waiting image may be held back for a fuller batch, as
  // above. Empty: not at all. Each [0 s, 1 s]
  std::vector<absl::Duration> max_batch_waits;
  // Of lanes on GPUs: the number format, and the batch shape that decides the
  // bytes, whose equals other shapes must be (lanes/gpu/gpu_lane_runner.h).
  // [1, 256]
  Precision precision = Precision::kFloat32;
  int pinned_batch = 64;
  // Images accepted and not finished; more is ResourceExhausted. [64, 1e6]
  int max_queued_images = 1024;
  // What these and their results take; more is ResourceExhausted. At least
  // 64 MiB.
  int64_t max_queued_bytes = int64_t{1} << 30;
  // Shares of callers (GenerationRequest::caller) of the devices while there is
  // more work than they can do; who is not named has 1. Each IsCallerWeight
  std::map<std::string, double> caller_weights;
  // Runs a batch of every bucket (1, 2, 4, ...) on every lane before a version
  // serves, rather than only the smallest and the largest.
  bool warm_up_every_bucket = true;

  // Hot reload (engine/README.md). How often the model directory is looked
  // through where the file system reports no changes. [10 ms, 1 h]
  absl::Duration poll_interval = absl::Seconds(5);
  // Versions of a model that stay loaded: the live one and those that were live
  // before it. [1, 64]
  int keep_versions = 2;
  // What the weights of all loaded versions may take in host memory; a version
  // for which there is no room waits. 0: half of what the process may use.
  int64_t max_model_bytes = 0;
  // Folder for the pins, so that they outlive the process; empty: they do not.
  std::string state_dir;
  // How far a new version's images may be from those of the live one.
  CanaryBounds canary_bounds;

  static constexpr int kDefaultCudaBatch = 64;
  static constexpr int kDefaultRowsPerCpuThread = 2;
};

// Starts the lanes, loads the newest sound version of every model and warms it
// up; blocks until that is done. From then on a thread of the engine watches
// the model directory and takes up what appears there; with no sound version at
// the start, the engine is not Ready until one comes.
//   InvalidArgument     an option out of its range
//   NotFound            model_root is absent
//   FailedPrecondition  state_dir cannot be used
// `observer` and `clock` must outlive the engine. The destructor drains with a
// deadline of now.
absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(
    const EngineOptions& options, EngineObserver* observer,
    Clock* clock = RealClock());

}  // namespace ddgan

#endif  // DDGAN_ENGINE_API_ENGINE_H_
