#include "engine/versions/change_notifier.h"

#include <utility>

namespace ddgan {

struct ChangeNotifier::Listener {
  std::function<void()> call;
  bool stopped = false;  // Guarded by the notifier's lock.
};

class ChangeNotifier::Handle : public ModelWatch {
 public:
  Handle(ChangeNotifier* notifier, std::shared_ptr<Listener> listener)
      : notifier_(notifier), listener_(std::move(listener)) {}

  ~Handle() override {
    absl::MutexLock lock(&notifier_->mu_);
    listener_->stopped = true;
    std::erase(notifier_->listeners_, listener_);
    while (notifier_->current_ == listener_.get()) {
      notifier_->called_.Wait(&notifier_->mu_);
    }
  }

 private:
  ChangeNotifier* const notifier_;
  const std::shared_ptr<Listener> listener_;
};

std::unique_ptr<ModelWatch> ChangeNotifier::Watch(
    std::function<void()> listener) {
  auto shared = std::make_shared<Listener>();
  shared->call = std::move(listener);
  absl::MutexLock lock(&mu_);
  listeners_.push_back(shared);
  return std::make_unique<Handle>(this, std::move(shared));
}

void ChangeNotifier::Notify() {
  mu_.Lock();
  const std::vector<std::shared_ptr<Listener>> listeners = listeners_;
  for (const std::shared_ptr<Listener>& listener : listeners) {
    if (listener->stopped) continue;
    current_ = listener.get();
    mu_.Unlock();
    listener->call();
    mu_.Lock();
    current_ = nullptr;
    called_.SignalAll();
  }
  mu_.Unlock();
}

}  // namespace ddgan
