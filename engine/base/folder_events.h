// Changes below a folder, as inotify tells them: a hint to look, never the only
// reason, since network file systems tell nothing.
#ifndef DDGAN_ENGINE_BASE_FOLDER_EVENTS_H_
#define DDGAN_ENGINE_BASE_FOLDER_EVENTS_H_

#include <filesystem>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace ddgan {

class FolderEvents {
 public:
  virtual ~FolderEvents() = default;

  // Looks at these folders too from now on, at their entries and not at those
  // of their subfolders. A folder that is watched already costs nothing; one
  // that is gone is passed over. The first other failure comes back, after all
  // were tried: what cannot be watched is found by polling alone.
  virtual absl::Status Watch(
      const std::vector<std::filesystem::path>& folders) = 0;

  // Blocks until something changed in a watched folder since the last call,
  // until Wake, or for `timeout`. True unless only the time has passed.
  virtual bool Wait(absl::Duration timeout) = 0;

  // Ends the current call of Wait, or the next one. From any thread; the other
  // methods are for one thread at a time.
  virtual void Wake() = 0;
};

// With inotify where the kernel gives an instance of it; without one, Watch
// fails and Wait knows of Wake alone.
std::unique_ptr<FolderEvents> NewFolderEvents();

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_FOLDER_EVENTS_H_
