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

// Thread-safe. Must outlive the watches.
class ChangeNotifier {
 public:
  // As Engine::WatchModels.
  std::unique_ptr<ModelWatch> Watch(std::function<void()> listener)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Calls every listener, on this thread. One call at a time, which
  // report_queue.h sees to, and none from a listener. The caller holds no lock
  // that a listener may want; no lock is held over a call.
  void Notify() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Listener;
  class Handle;

  absl::Mutex mu_;
  absl::CondVar called_;  // A listener has returned.
  std::vector<std::shared_ptr<Listener>> listeners_ ABSL_GUARDED_BY(mu_);
  const Listener* current_ ABSL_GUARDED_BY(mu_) = nullptr;  // Being called.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_CHANGE_NOTIFIER_H_
