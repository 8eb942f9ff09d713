// The engine put together from parts that may be real or scripted: everything
// but LibTorch. CreateEngine (create_engine.cc) gives it the real ones.
#ifndef DDGAN_ENGINE_ENGINE_CORE_H_
#define DDGAN_ENGINE_ENGINE_CORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/batch_policy.h"
#include "engine/batch_runner.h"
#include "engine/batch_scheduler.h"
#include "engine/checkpoint/model_registry.h"
#include "engine/checkpoint/version_source.h"
#include "engine/clock.h"
#include "engine/device_pool.h"
#include "engine/engine.h"
#include "engine/engine_observer.h"
#include "engine/generation.h"
#include "engine/servable_version.h"

namespace ddgan {

// InvalidArgument that names option, value and range for one out of its range.
absl::Status ValidateEngineOptions(const EngineOptions& options);

// InvalidArgument that names field, value and range if `request` asks for
// something that no model could give.
absl::Status ValidateRequest(const GenerationRequest& request);

// The batch sizes that a warm-up runs: 1, 2, 4, ... and `max_batch_size`, or
// only the first and the last.
std::vector<int> WarmUpSizes(int max_batch_size, bool every_bucket);

// Runs whole trajectories of `version` on an otherwise idle runner, `sizes` of
// them together in turn. Memory is allocated, kernels are chosen and steps are
// measured (version.costs) here instead of in someone's request, and a version
// that cannot make an image is found out.
absl::Status WarmUp(const ServableVersion& version, absl::Span<const int> sizes,
                    BatchRunner& runner);

// Thread-safe.
class EngineCore : public Engine {
 public:
  struct Options {
    std::vector<BatchLimits> lane_limits;  // One for each lane.
    int max_queued_images = 1024;
    int64_t max_queued_bytes = int64_t{1} << 30;
    std::map<std::string, double> caller_weights;
    bool warm_up_every_bucket = true;
  };

  // Starts the lanes, then loads the newest sound version of every model and
  // warms it up on each lane. Errors of DevicePool::Start and
  // ModelRegistry::LoadNewest. `observer` and `clock` must outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(
      const Options& options, std::vector<DevicePool::LaneOptions> lanes,
      std::unique_ptr<VersionSource> source, EngineObserver* observer,
      Clock* clock);

  absl::StatusOr<Acceptance> Submit(
      const GenerationRequest& request,
      std::shared_ptr<GenerationSink> sink) override;
  void Cancel(RequestId id) override;
  std::vector<ModelVersionStatus> ListModels() const override;
  bool Ready() const override;
  void Drain(absl::Time deadline) override;

 private:
  EngineCore(const Options& options, std::unique_ptr<VersionSource> source,
             EngineObserver* observer, Clock* clock);

  // Whether a new runner can make images of every live version.
  absl::Status Probe(BatchRunner& runner) const;

  // Destroyed from the last to the first: the pool joins its threads while what
  // they use is still there.
  BatchScheduler scheduler_;
  ModelRegistry registry_;
  std::unique_ptr<DevicePool> pool_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_ENGINE_CORE_H_
