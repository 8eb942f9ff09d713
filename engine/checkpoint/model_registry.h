// Which model versions are live, and why others are not.
#ifndef DDGAN_ENGINE_CHECKPOINT_MODEL_REGISTRY_H_
#define DDGAN_ENGINE_CHECKPOINT_MODEL_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "engine/checkpoint/version_source.h"
#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/engine_observer.h"
#include "engine/servable_version.h"

namespace ddgan {

// Knows at most one live version per model. A version goes live by swapping a
// pointer under the lock; who holds the old one keeps it until done. Loading
// and trying out happen without the lock, so Resolve never waits for a disk.
// Thread-safe.
class ModelRegistry {
 public:
  // Runs a loaded version before it may go live; its error refuses it.
  using TryOut = std::function<absl::Status(const ServableVersion& version)>;

  // `observer` and `clock` must outlive the registry.
  ModelRegistry(std::unique_ptr<VersionSource> source, TryOut try_out,
                EngineObserver* observer, Clock* clock);

  // For every model, tries versions newest first until one is sound, which goes
  // live. Those refused on the way are remembered with the reason.
  //   NotFound            the source is absent
  //   FailedPrecondition  nothing went live; names each version and why
  absl::Status LoadNewest();

  // The live version of `model`; `version`, if set, must be that one. An empty
  // name stands for the only live model.
  //   NotFound         no such model or version; names those there are
  //   InvalidArgument  no name, but several models; names them
  absl::StatusOr<std::shared_ptr<const ServableVersion>> Resolve(
      const std::string& model, std::optional<int64_t> version) const;

  // Every version that was looked at, by model, newest first.
  std::vector<ModelVersionStatus> List() const;

  bool AnyLive() const;
  // One per model that has one.
  std::vector<std::shared_ptr<const ServableVersion>> LiveVersions() const;

 private:
  struct ModelEntry {
    std::shared_ptr<const ServableVersion> live;  // Null if none is.
    // By version: why it is not served.
    std::map<int64_t, absl::Status> refused;
  };

  // Loads and tries out one version, makes it live or remembers why not, and
  // reports. True if it went live.
  bool LoadVersion(const std::string& model, int64_t version)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::shared_ptr<const ServableVersion>> LoadAndTryOut(
      const std::string& model, int64_t version);
  std::vector<std::string> LiveModelNames() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::unique_ptr<VersionSource> source_;
  const TryOut try_out_;
  EngineObserver* const observer_;
  Clock* const clock_;

  mutable absl::Mutex mu_;
  std::map<std::string, ModelEntry> models_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_MODEL_REGISTRY_H_
