// What is known of one model's versions: which are on disk, loaded, live,
// refused and why. No lock, no disk, no clock.
#ifndef DDGAN_ENGINE_VERSIONS_MODEL_VERSIONS_H_
#define DDGAN_ENGINE_VERSIONS_MODEL_VERSIONS_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/api/engine_observer.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/requests/servable_version.h"
#include "engine/versions/version_lifecycle.h"

namespace ddgan {

// What came of an attempt to load a version, or of its trial.
struct VersionVerdict {
  ReloadResult result = ReloadResult::kLive;  // Sound; or why not.
  absl::Status reason;
  int64_t bytes = 0;  // That it takes in memory, if that was measured.
};

// Thread-compatible.
class ModelVersions {
 public:
  using Handle = std::shared_ptr<const ServableVersion>;

  // When a version that another attempt may mend is loaded again: at first, and
  // at last. One whose files cannot be used is loaded again when they change.
  static constexpr absl::Duration kFirstRetry = absl::Seconds(1);
  static constexpr absl::Duration kLongestRetry = absl::Seconds(60);
  // A step of the trial may have failed for the device's sake and not for the
  // version's; so it is tried again, but not often.
  static constexpr absl::Duration kFirstStepRetry = absl::Seconds(10);
  static constexpr absl::Duration kLongestStepRetry = absl::Minutes(10);

  explicit ModelVersions(std::string model) : model_(std::move(model)) {}

  // What the disk shows at `now`. True if that is another than before.
  bool SetOnDisk(std::map<int64_t, VersionFiles> on_disk, absl::Time now);

  // A version is being loaded, until one of the other three.
  void BeginLoading(int64_t version) { loading_ = version; }
  void GiveUpLoading() { loading_.reset(); }
  // Its files were `files` while it was loaded.
  void AddLoaded(Handle version, const VersionFiles& files);
  // It is to be loaded as soon as there is room; unset: none. True if that is
  // another than before.
  bool SetWaitingForRoom(std::optional<int64_t> version);
  // It was not taken. Its files when the attempt began, and at `now`.
  void Refuse(int64_t version, const VersionFiles& files,
              const VersionFiles& files_now, const VersionVerdict& verdict,
              absl::Time now);

  // `version` is loaded. Returns it.
  Handle MakeLive(int64_t version);
  // `version` is loaded and not live. Returns it.
  Handle Unload(int64_t version);
  void set_pinned(std::optional<int64_t> version) { pinned_ = version; }

  std::optional<int64_t> pinned() const { return pinned_; }
  // Null if none is.
  Handle live() const;
  // Null if it is not loaded.
  Handle FindLoaded(int64_t version) const;
  // Oldest first.
  std::vector<Handle> loaded() const;
  // Nothing is on disk, loaded or pinned.
  bool empty() const { return on_disk_.empty() && loaded_.empty() && !pinned_; }

  // What it takes in memory: what was measured when these files were loaded the
  // last time, else an estimate. 0 if it is neither on disk nor loaded.
  int64_t BytesOf(int64_t version) const;
  // Adds what is known here.
  void AddFacts(ModelFacts* facts) const;
  // As Engine::ListModels.
  ModelStatus Describe() const;
  // Refused versions, by result, if that has changed since the last call.
  std::optional<std::array<int, kNumReloadResults>> ChangedRefusals();

  // As Engine::Pin and Engine::RollBack: whether the version may be pinned, and
  // the one to go back to.
  absl::Status CheckPinnable(int64_t version) const;
  absl::StatusOr<int64_t> RollBackTarget() const;

 private:
  // Why a version was not taken the last time.
  struct Attempt {
    VersionFiles files;
    VersionVerdict verdict;
    int64_t bytes = 0;  // Measured with these files; 0: never.
    int failures = 0;   // In a row, with these files.
    absl::Time retry_at;
  };

  struct Loaded {
    Handle version;
    VersionFiles files;
    uint64_t last_live = 0;  // As in VersionFacts.
  };

  // On disk or loaded, ascending.
  std::vector<int64_t> Numbers() const;
  ModelVersionStatus DescribeVersion(int64_t version) const;

  const std::string model_;
  std::map<int64_t, VersionFiles> on_disk_;
  std::map<int64_t, Attempt> attempts_;  // Of versions on disk only.
  std::map<int64_t, Loaded> loaded_;
  std::optional<int64_t> live_;
  std::optional<int64_t> pinned_;
  std::optional<int64_t> loading_;
  std::optional<int64_t> waiting_for_room_;
  uint64_t live_count_ = 0;
  std::array<int, kNumReloadResults> told_refusals_ = {};
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_MODEL_VERSIONS_H_
