// The thread that keeps the registry in step with the model directory.
#ifndef DDGAN_ENGINE_VERSIONS_VERSION_WATCHER_H_
#define DDGAN_ENGINE_VERSIONS_VERSION_WATCHER_H_

#include <atomic>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "engine/base/folder_events.h"
#include "engine/versions/version_loader.h"

namespace ddgan {

// How long to wait for events, when the loader asks to look again at
// `look_again`: that long, at most `poll_interval`, and not less than 10 ms.
absl::Duration WatchTimeout(absl::Time now, absl::Time look_again,
                            absl::Duration poll_interval);

// Thread-safe.
class VersionWatcher {
 public:
  // Starts the thread, which runs with a lower priority than those that serve.
  // `loader`, `observer` and `clock` must outlive the watcher.
  VersionWatcher(VersionLoader* loader, std::unique_ptr<FolderEvents> events,
                 absl::Duration poll_interval, EngineObserver* observer,
                 Clock* clock);
  // Waits until a version that is being loaded is given up.
  ~VersionWatcher();

  VersionWatcher(const VersionWatcher&) = delete;
  VersionWatcher& operator=(const VersionWatcher&) = delete;

 private:
  void Run();
  // Told to the observer when it becomes another.
  void Report(const absl::Status& status);

  // Constant after construction.
  VersionLoader* const loader_;
  const std::unique_ptr<FolderEvents> events_;
  const absl::Duration poll_interval_;
  EngineObserver* const observer_;
  Clock* const clock_;

  absl::Status reported_;  // Of the thread.
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_VERSION_WATCHER_H_
