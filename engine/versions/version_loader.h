// Brings the versions that are on disk into the registry: looks through the
// model directory, reads and checks a version, puts it on trial, publishes it.
// Carries out what version_lifecycle.h decides.
#ifndef DDGAN_ENGINE_VERSIONS_VERSION_LOADER_H_
#define DDGAN_ENGINE_VERSIONS_VERSION_LOADER_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "engine/requests/servable_version.h"
#include "engine/versions/model_registry.h"
#include "engine/versions/version_source.h"

namespace ddgan {

// Thread-safe, except that Reconcile is called by one thread at a time.
class VersionLoader {
 public:
  // Runs a loaded version before it may serve. `next` gets its canary
  // statistics; `live` is null if nothing is live.
  using Trial = std::function<VersionVerdict(ServableVersion& next,
                                             const ServableVersion* live)>;

  // `registry`, `observer` and `clock` must outlive the loader.
  VersionLoader(std::unique_ptr<VersionSource> source, Trial trial,
                ModelRegistry* registry, EngineObserver* observer,
                Clock* clock);

  // Looks through the source and loads, swaps and frees until every model is as
  // it should be. Returns when to look again at the latest, whatever happens on
  // disk. Blocks for as long as loading takes.
  //   NotFound and others  the source cannot be listed; all stays as it was
  absl::StatusOr<absl::Time> Reconcile();

  // A Reconcile under way ends soon, even in the middle of a file, and later
  // ones do nothing. A version whose loading ends so is neither refused nor
  // reported. A trial goes on until it returns.
  void StopLoading() { stopped_ = true; }

  // As ModelRegistry: called when Reconcile has something to do.
  void SetWake(std::function<void()> wake) {
    registry_->SetWake(std::move(wake));
  }

  std::vector<std::filesystem::path> FoldersToWatch() const {
    return source_->FoldersToWatch();
  }

 private:
  // Tells the registry what the source shows now. False if the model cannot be
  // listed: it stays as it was.
  bool Rescan(const std::string& model);
  // Until nothing is left to do for the model; when to look again.
  absl::Time ReconcileModel(const std::string& model);
  void Load(const std::string& model, int64_t version);
  // The version was not taken. Its files at the start of the attempt.
  void Refuse(const std::string& model, int64_t version,
              const VersionFiles& files, const VersionVerdict& verdict,
              absl::Time start);

  // Constant after construction.
  const std::unique_ptr<VersionSource> source_;
  const Trial trial_;
  ModelRegistry* const registry_;
  EngineObserver* const observer_;
  Clock* const clock_;

  std::atomic<bool> stopped_ = false;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_VERSION_LOADER_H_
