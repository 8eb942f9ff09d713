#include "engine/versions/version_watcher.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace ddgan {
namespace {

// Reading, hashing and packing weights takes seconds of CPU time, which lanes
// on CPUs would miss. On Linux a nice value belongs to a thread.
constexpr int kNice = 10;

constexpr absl::Duration kShortestWait = absl::Milliseconds(10);

}  // namespace

absl::Duration WatchTimeout(absl::Time now, absl::Time look_again,
                            absl::Duration poll_interval) {
  return std::clamp(look_again - now, kShortestWait,
                    std::max(poll_interval, kShortestWait));
}

VersionWatcher::VersionWatcher(VersionLoader* loader,
                               std::unique_ptr<FolderEvents> events,
                               absl::Duration poll_interval,
                               EngineObserver* observer, Clock* clock)
    : loader_(loader),
      events_(std::move(events)),
      poll_interval_(poll_interval),
      observer_(observer),
      clock_(clock) {
  loader_->SetWake([events = events_.get()] { events->Wake(); });
  thread_ = std::thread([this] { Run(); });
}

VersionWatcher::~VersionWatcher() {
  stopped_ = true;
  loader_->StopLoading();
  events_->Wake();
  thread_.join();
  loader_->SetWake(nullptr);
}

void VersionWatcher::Run() {
  // For Linux, of this thread alone. Without the right to it, it is as it was.
  [[maybe_unused]] const int now = nice(kNice);
  while (!stopped_) {
    // First, so that what appears while the loader looks is not missed.
    absl::Status status = events_->Watch(loader_->FoldersToWatch());
    const absl::StatusOr<absl::Time> look_again = loader_->Reconcile();
    if (!look_again.ok()) status = look_again.status();
    Report(status);
    events_->Wait(WatchTimeout(clock_->Now(),
                               look_again.value_or(absl::InfiniteFuture()),
                               poll_interval_));
  }
}

void VersionWatcher::Report(const absl::Status& status) {
  if (status == reported_) return;
  reported_ = status;
  observer_->OnModelDirectory(status);
}

}  // namespace ddgan
