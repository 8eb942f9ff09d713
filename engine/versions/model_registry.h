// The versions of all models: which are on disk, loaded, live, refused and why.
// Carries out what version_lifecycle.h decides.
#ifndef DDGAN_ENGINE_VERSIONS_MODEL_REGISTRY_H_
#define DDGAN_ENGINE_VERSIONS_MODEL_REGISTRY_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "engine/scheduling/servable_version.h"
#include "engine/versions/change_notifier.h"
#include "engine/versions/pin_store.h"
#include "engine/versions/version_graveyard.h"
#include "engine/versions/version_lifecycle.h"
#include "engine/versions/version_source.h"

namespace ddgan {

// A version goes live by a change of a pointer under the lock; who holds the
// old one keeps it until done. Loading and trying out happen without the lock,
// so Resolve never waits for a disk or a device. Thread-safe, except that
// Reconcile is called by one thread at a time.
class ModelRegistry {
 public:
  struct Options {
    int keep_versions = 1;  // As EngineOptions.
    int64_t max_model_bytes = std::numeric_limits<int64_t>::max();
    // Where the pins are kept; empty: nowhere.
    std::string state_dir;
  };

  // What came of running a loaded version before it may serve.
  struct Trial {
    ReloadResult result = ReloadResult::kLive;  // Or why not.
    absl::Status reason;
  };
  // `next` gets its canary statistics; `live` is null if nothing is live.
  using TryOut =
      std::function<Trial(ServableVersion& next, const ServableVersion* live)>;

  // What may be tried again after a while: at first, and at last.
  static constexpr absl::Duration kFirstRetry = absl::Seconds(1);
  static constexpr absl::Duration kLongestRetry = absl::Seconds(60);

  // `observer` and `clock` must outlive the registry.
  ModelRegistry(Options options, std::unique_ptr<VersionSource> source,
                TryOut try_out, EngineObserver* observer, Clock* clock);
  ~ModelRegistry();

  // Takes up the pins of an earlier process. Call before Reconcile. Errors as
  // ReadPins.
  absl::Status RestorePins();

  // Looks through the source and loads, swaps and frees until every model is as
  // it should be. Returns when to look again at the latest, whatever happens on
  // disk. Blocks for as long as loading takes.
  //   NotFound and others  the source cannot be listed; all stays as it was
  absl::StatusOr<absl::Time> Reconcile();

  // A Reconcile under way ends soon, and later ones do nothing.
  void StopLoading() ABSL_LOCKS_EXCLUDED(mu_);

  // `wake` is called when Reconcile has something to do that no folder shows: a
  // pin, memory that became free. It takes no lock but its own. Null: nobody
  // is.
  void SetWake(std::function<void()> wake) ABSL_LOCKS_EXCLUDED(mu_);

  std::vector<std::filesystem::path> FoldersToWatch() const {
    return source_->FoldersToWatch();
  }

  // The live version of `model`, or the loaded one of number `version`. An
  // empty name stands for the only model that has a live version.
  //   NotFound         no such model or version; names those there are
  //   InvalidArgument  no name, but several models; names them
  absl::StatusOr<std::shared_ptr<const ServableVersion>> Resolve(
      const std::string& model, std::optional<int64_t> version) const;

  // As Engine.
  std::vector<ModelStatus> List() const;
  absl::Status Pin(const std::string& model, int64_t version)
      ABSL_LOCKS_EXCLUDED(changes_mu_, mu_);
  absl::Status Unpin(const std::string& model)
      ABSL_LOCKS_EXCLUDED(changes_mu_, mu_);
  absl::StatusOr<int64_t> RollBack(const std::string& model)
      ABSL_LOCKS_EXCLUDED(changes_mu_, mu_);
  std::unique_ptr<ModelWatch> Watch(std::function<void()> listener) {
    return notifier_.Watch(std::move(listener));
  }

  bool AnyLive() const;
  // Of every model, those that requests can get.
  std::vector<std::shared_ptr<const ServableVersion>> LoadedVersions() const;

 private:
  // Why a version was not taken the last time.
  struct Attempt {
    VersionFiles files;
    ReloadResult result = ReloadResult::kError;
    absl::Status reason;
    int failures = 0;  // In a row, with these files.
    absl::Time retry_at;
  };

  struct Loaded {
    std::shared_ptr<const ServableVersion> version;
    VersionFiles files;
    uint64_t last_live = 0;  // As in VersionFacts.
  };

  struct ModelEntry {
    std::map<int64_t, VersionFiles> on_disk;
    std::map<int64_t, Attempt> attempts;  // Of versions on disk only.
    std::map<int64_t, Loaded> loaded;
    std::optional<int64_t> live;
    std::optional<int64_t> pinned;
    std::optional<int64_t> loading;
    std::array<int, kNumReloadResults> reported_refusals = {};
  };

  // A version that is given up, until it is freed.
  struct Draining {
    int64_t bytes = 0;
    const ServableVersion* address = nullptr;  // To know it again.
  };

  // Brings the entry up to what the source shows now. False if the model cannot
  // be listed: the entry stays as it was.
  bool Rescan(const std::string& model) ABSL_LOCKS_EXCLUDED(mu_);
  // Until nothing is left to do for the model; when to look again.
  absl::Time ReconcileModel(const std::string& model) ABSL_LOCKS_EXCLUDED(mu_);
  ModelFacts Facts(const ModelEntry& entry) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void Load(const std::string& model, int64_t version) ABSL_LOCKS_EXCLUDED(mu_);
  // Records that the version was not taken. What its files were at the start of
  // the attempt, which began at `start`.
  void Refuse(const std::string& model, int64_t version,
              const VersionFiles& files, const Trial& why, absl::Time start)
      ABSL_LOCKS_EXCLUDED(mu_);
  void RefuseForMemory(const std::string& model, int64_t version)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Decides on the next action. One that is done in a moment is done; then
  // nothing comes back, and there may be more.
  std::optional<LifecycleAction> SwapOrUnload(const std::string& model)
      ABSL_LOCKS_EXCLUDED(changes_mu_, mu_);
  // `version` is loaded. What is live now.
  std::shared_ptr<const ServableVersion> SetLive(ModelEntry& entry,
                                                 int64_t version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Frees what nobody uses any more.
  void FreeVersions() ABSL_LOCKS_EXCLUDED(mu_);
  void ReportRefusals(const std::string& model) ABSL_LOCKS_EXCLUDED(mu_);
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);

  // Makes `pin` durable, then puts it in force.
  absl::Status SetPin(const std::string& model, std::optional<int64_t> pin)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(changes_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  // OK if the version may be pinned.
  absl::Status CheckPinnable(const std::string& model, int64_t version) const
      ABSL_LOCKS_EXCLUDED(mu_);

  std::vector<std::string> LiveModelNames() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static ModelVersionStatus Describe(const std::string& model,
                                     const ModelEntry& entry, int64_t version);

  // Constant after construction.
  const Options options_;
  const std::unique_ptr<VersionSource> source_;
  const TryOut try_out_;
  EngineObserver* const observer_;
  Clock* const clock_;
  const std::shared_ptr<VersionGraveyard> graveyard_;

  ChangeNotifier notifier_;
  // Held from the decision to pin, swap or unload until that was reported, so
  // that such changes take turns and are told in their order. Taken before mu_,
  // which is held neither over the disk nor over reports.
  absl::Mutex changes_mu_;
  mutable absl::Mutex mu_;
  std::map<std::string, ModelEntry> models_ ABSL_GUARDED_BY(mu_);
  std::vector<Draining> draining_ ABSL_GUARDED_BY(mu_);
  uint64_t live_count_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::function<void()> wake_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_MODEL_REGISTRY_H_
