// The versions of all models: which serve, which are known, and why others do
// not serve. Others change it: version_loader.h what is on disk and loaded,
// model_pins.h what the operator wants.
#ifndef DDGAN_ENGINE_VERSIONS_MODEL_REGISTRY_H_
#define DDGAN_ENGINE_VERSIONS_MODEL_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/api/engine_observer.h"
#include "engine/requests/servable_version.h"
#include "engine/versions/change_notifier.h"
#include "engine/versions/model_versions.h"
#include "engine/versions/pin_store.h"
#include "engine/versions/report_queue.h"
#include "engine/versions/version_graveyard.h"
#include "engine/versions/version_lifecycle.h"

namespace ddgan {

// A version goes live by a change of a pointer under the lock; who holds the
// old one keeps it until done. The lock is held neither over the disk nor over
// a device nor over a callback, so Resolve never waits. Observer and listeners
// are told of changes in their order, by one thread at a time, without a lock
// held. Thread-safe.
class ModelRegistry {
 public:
  struct Options {
    int keep_versions = 1;  // As EngineOptions.
    int64_t max_model_bytes = std::numeric_limits<int64_t>::max();
  };

  // How long a load waits for the memory of a version that was given up.
  static constexpr absl::Duration kLongestDrain = absl::Minutes(10);

  // `observer` must outlive the registry.
  ModelRegistry(const Options& options, EngineObserver* observer);
  ~ModelRegistry();

  // The live version of `model`, or the loaded one of number `version`. An
  // empty name stands for the only model that has a live version.
  //   NotFound         no such model or version; names those there are
  //   InvalidArgument  no name, but several models; names them
  // Of models, the first ten by name.
  absl::StatusOr<std::shared_ptr<const ServableVersion>> Resolve(
      const std::string& model, std::optional<int64_t> version) const;

  // As Engine::ListModels and Engine::WatchModels.
  std::vector<ModelStatus> List() const;
  std::vector<std::string> ListStrays() const;
  std::unique_ptr<ModelWatch> Watch(std::function<void()> listener) {
    return notifier_.Watch(std::move(listener));
  }

  bool AnyLive() const;
  // Of every model, those that requests can get.
  std::vector<std::shared_ptr<const ServableVersion>> LoadedVersions() const;

  // `wake` is called when the loader has something to do that no folder shows:
  // a pin, memory that became free. It takes no lock but its own. Null: nobody
  // is.
  void SetWake(std::function<void()> wake) ABSL_LOCKS_EXCLUDED(mu_);

  // --- For ModelPins.

  // What is in force.
  Pins pins() const;
  // Whether anything is known of the model.
  bool Knows(const std::string& model) const;
  // As ModelVersions. NotFound if nothing is known of the model.
  absl::Status CheckPinnable(const std::string& model, int64_t version) const;
  absl::StatusOr<int64_t> RollBackTarget(const std::string& model) const;
  // Puts a pin in force (nothing: none). If the version is loaded, it is live
  // at once. Tells nobody before Report.
  void SetPin(const std::string& model, std::optional<int64_t> pin)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Tells of the changes that nobody was told of yet. The caller holds no lock.
  void Report() ABSL_LOCKS_EXCLUDED(mu_);

  // --- For VersionLoader, one thread at a time. Each tells of its changes.

  // Models of which anything is known.
  std::vector<std::string> Models() const;
  void SetOnDisk(const std::string& model,
                 std::map<int64_t, VersionFiles> on_disk, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Decides on the next action (version_lifecycle.h). A version that is to go
  // live or to be unloaded does so; then nothing comes back, and there may be
  // more to do.
  std::optional<LifecycleAction> Advance(const std::string& model,
                                         absl::Time now)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The version is being loaded, until one of the next three. Returns the live
  // one, null if there is none.
  std::shared_ptr<const ServableVersion> BeginLoading(const std::string& model,
                                                      int64_t version)
      ABSL_LOCKS_EXCLUDED(mu_);
  void GiveUpLoading(const std::string& model) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes in a sound version, whose files were `files` and which took
  // `duration` to load. It is not live before Advance says so.
  void Publish(ServableVersion version, const VersionFiles& files,
               absl::Duration duration) ABSL_LOCKS_EXCLUDED(mu_);
  // As ModelVersions; the attempt took `duration`.
  void Refuse(const std::string& model, int64_t version,
              const VersionFiles& files, const VersionFiles& files_now,
              const VersionVerdict& verdict, absl::Time now,
              absl::Duration duration) ABSL_LOCKS_EXCLUDED(mu_);
  // As ModelVersions; 0 for a model that nobody knows.
  int64_t BytesOf(const std::string& model, int64_t version) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // ResourceExhausted if a version of so many bytes does not fit now.
  absl::Status CheckRoom(int64_t bytes) const ABSL_LOCKS_EXCLUDED(mu_);
  void ReportRefusals(const std::string& model) ABSL_LOCKS_EXCLUDED(mu_);
  // Frees the versions that are unloaded and that nobody uses any more.
  void FreeVersions() ABSL_LOCKS_EXCLUDED(mu_);
  // As Engine::ListStrays; each is reported when it is new.
  void SetStrays(std::vector<std::string> strays) ABSL_LOCKS_EXCLUDED(mu_);
  // Forgets models of which nothing is on disk, loaded or pinned.
  void ForgetEmpty() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // A version that is unloaded, until it is freed.
  struct Draining {
    int64_t bytes = 0;
    const ServableVersion* address = nullptr;  // To know it again.
    absl::Time since;
  };

  ModelVersions& EntryOf(const std::string& model)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return models_.try_emplace(model, model).first->second;
  }
  // Memory that no version holds, loaded or draining.
  int64_t FreeBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PostLive(const ServableVersion& version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The listeners are called in turn with the reports.
  void PostChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    reports_.Post([this] { notifier_.Notify(); });
  }
  std::vector<std::string> LiveModelNames() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Options options_;
  EngineObserver* const observer_;
  const std::shared_ptr<VersionGraveyard> graveyard_;

  ChangeNotifier notifier_;
  ReportQueue reports_;
  mutable absl::Mutex mu_;
  std::map<std::string, ModelVersions> models_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> strays_ ABSL_GUARDED_BY(mu_);
  std::vector<Draining> draining_ ABSL_GUARDED_BY(mu_);
  std::function<void()> wake_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_MODEL_REGISTRY_H_
