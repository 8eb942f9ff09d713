#include "engine/base/folder_events.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace ddgan {
namespace {

constexpr uint32_t kChanges = IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                              IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB |
                              IN_MODIFY | IN_ONLYDIR | IN_DONT_FOLLOW;

class InotifyEvents : public FolderEvents {
 public:
  InotifyEvents()
      : inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
        inotify_error_(inotify_ < 0 ? errno : 0),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  ~InotifyEvents() override {
    if (inotify_ >= 0) close(inotify_);
    if (wake_ >= 0) close(wake_);
  }

  absl::Status Watch(
      const std::vector<std::filesystem::path>& folders) override {
    if (inotify_ < 0) {
      return absl::ErrnoToStatus(inotify_error_, "inotify is not available");
    }
    absl::Status status;
    for (const std::filesystem::path& folder : folders) {
      if (inotify_add_watch(inotify_, folder.c_str(), kChanges) >= 0) continue;
      if (errno == ENOENT || errno == ENOTDIR) continue;
      status.Update(absl::ErrnoToStatus(
          errno, absl::StrCat("cannot watch ", folder.string())));
    }
    return status;
  }

  bool Wait(absl::Duration timeout) override {
    pollfd polled[] = {{wake_, POLLIN, 0}, {inotify_, POLLIN, 0}};
    const absl::Time deadline = absl::Now() + timeout;
    int ready = 0;
    do {
      const absl::Duration left =
          std::clamp(deadline - absl::Now(), absl::ZeroDuration(),
                     absl::Hours(24));  // poll takes an int.
      ready = poll(polled, 2,
                   static_cast<int>(absl::ToInt64Milliseconds(
                       absl::Ceil(left, absl::Milliseconds(1)))));
    } while (ready < 0 && errno == EINTR);
    // What changed is found by looking, so the events themselves are dropped.
    Empty(wake_);
    Empty(inotify_);
    return ready > 0;
  }

  void Wake() override {
    const uint64_t one = 1;
    // Only fails if the counter is full, and then the next Wait returns anyway.
    const ssize_t ignored = write(wake_, &one, sizeof(one));
    static_cast<void>(ignored);
  }

 private:
  static void Empty(int descriptor) {
    char buffer[4096];
    while (descriptor >= 0 && read(descriptor, buffer, sizeof(buffer)) > 0) {
    }
  }

  const int inotify_;  // Negative if there is none; poll ignores it then.
  const int inotify_error_;
  const int wake_;
};

}  // namespace

std::unique_ptr<FolderEvents> NewFolderEvents() {
  return std::make_unique<InotifyEvents>();
}

}  // namespace ddgan
