// Where versions go whose last user has left, until the thread that reloads
// frees them: large frees, and what follows from them, stay off the threads
// that serve.
#ifndef DDGAN_ENGINE_VERSIONS_VERSION_GRAVEYARD_H_
#define DDGAN_ENGINE_VERSIONS_VERSION_GRAVEYARD_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

// Thread-safe.
class VersionGraveyard : public std::enable_shared_from_this<VersionGraveyard> {
 public:
  // A handle to `version` whose last copy puts it here. The graveyard lives at
  // least as long as the handles.
  std::shared_ptr<const ServableVersion> Share(ServableVersion version);

  // `arrived` is called after each arrival, from the thread that let go last
  // and whatever locks it holds: it takes none but its own. Null: nobody is.
  void SetListener(std::function<void()> arrived) ABSL_LOCKS_EXCLUDED(mu_);

  // What has arrived since the last call, for the caller to destroy.
  std::vector<std::unique_ptr<const ServableVersion>> Take()
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Bury(const ServableVersion* version) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  std::function<void()> arrived_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<const ServableVersion>> versions_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_VERSION_GRAVEYARD_H_
