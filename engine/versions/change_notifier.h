// Tells listeners that something has changed.
#ifndef DDGAN_ENGINE_VERSIONS_CHANGE_NOTIFIER_H_
#define DDGAN_ENGINE_VERSIONS_CHANGE_NOTIFIER_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/api/engine.h"

namespace ddgan {

// Thread-safe.
class ChangeNotifier {
 public:
  // As Engine::WatchModels.
  std::unique_ptr<ModelWatch> Watch(std::function<void()> listener)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Calls every listener. The caller holds no lock that a listener may want.
  void Notify() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Listener;

  absl::Mutex mu_;
  std::vector<std::weak_ptr<Listener>> listeners_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_CHANGE_NOTIFIER_H_
