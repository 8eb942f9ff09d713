// The engine put together from parts that may be real or scripted: everything
// but LibTorch. CreateEngine (create_engine.cc) gives it the real ones.
#ifndef DDGAN_ENGINE_ENGINE_CORE_H_
#define DDGAN_ENGINE_ENGINE_CORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/base/clock.h"
#include "engine/base/folder_events.h"
#include "engine/lane_threads/lane_pool.h"
#include "engine/lane_threads/supervisor.h"
#include "engine/lanes/batch_runner.h"
#include "engine/requests/servable_version.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/scheduling/batch_scheduler.h"
#include "engine/versions/model_pins.h"
#include "engine/versions/model_registry.h"
#include "engine/versions/version_loader.h"
#include "engine/versions/version_source.h"
#include "engine/versions/version_trial.h"
#include "engine/versions/version_watcher.h"

namespace ddgan {

// InvalidArgument that names option, value and range for one out of its range.
absl::Status ValidateEngineOptions(const EngineOptions& options);

// InvalidArgument that names field, value and range if `request` asks for
// something that a model of so many evaluations per image could not give.
absl::Status ValidateRequest(const GenerationRequest& request, int evaluations);

// Thread-safe.
class EngineCore : public Engine {
 public:
  struct Options {
    std::vector<BatchLimits> lane_limits;  // One for each lane.
    int max_queued_images = 1024;
    int64_t max_queued_bytes = int64_t{1} << 30;
    std::map<std::string, double> caller_weights;
    bool warm_up_every_bucket = true;
    ModelRegistry::Options registry;
    std::string state_dir;  // As EngineOptions.
    absl::Duration poll_interval = absl::Seconds(5);
    CanaryBounds canary_bounds;
  };

  // Starts the lanes, then loads the newest sound version of every model, after
  // a trial on each lane, and goes on watching; `events` tell when to look.
  // Errors of LanePool::AwaitRunners, ModelPins::Restore and
  // VersionLoader::Reconcile. `observer` and `clock` must outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(
      const Options& options, std::vector<LanePool::LaneOptions> lanes,
      std::unique_ptr<VersionSource> source,
      std::unique_ptr<FolderEvents> events, EngineObserver* observer,
      Clock* clock);
  ~EngineCore() override;

  absl::StatusOr<ResolvedModel> Resolve(
      const std::string& model, std::optional<int64_t> version) const override;
  absl::StatusOr<std::unique_ptr<Reservation>> Reserve(
      const ResolvedModel& model, const GenerationRequest& request) override;
  absl::StatusOr<Acceptance> Submit(
      std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide,
      std::shared_ptr<GenerationSink> sink) override;
  void Cancel(RequestId id) override;
  std::vector<ModelStatus> ListModels() const override;
  std::vector<std::string> ListStrays() const override;
  absl::Status Pin(const std::string& model, int64_t version) override;
  absl::Status Unpin(const std::string& model) override;
  absl::StatusOr<int64_t> RollBack(const std::string& model) override;
  std::unique_ptr<ModelWatch> WatchModels(
      std::function<void()> listener) override;
  bool Ready() const override;
  absl::Status Liveness() const override;
  void Drain(absl::Time deadline) override;

 private:
  EngineCore(const Options& options, std::unique_ptr<VersionSource> source,
             EngineObserver* observer, Clock* clock);

  // Destroyed from the last to the first: a thread is joined while what it uses
  // is still there.
  BatchScheduler scheduler_;
  ModelRegistry registry_;
  ModelPins pins_;
  VersionLoader loader_;
  std::unique_ptr<LanePool> pool_;
  std::unique_ptr<Supervisor> supervisor_;
  std::unique_ptr<VersionTrial> trial_;
  std::unique_ptr<VersionWatcher> watcher_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_ENGINE_CORE_H_
