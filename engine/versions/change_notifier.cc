#include "engine/versions/change_notifier.h"

#include <utility>

namespace ddgan {

// Its mutex is held during a call, so that calls take turns and Stop waits.
class ChangeNotifier::Listener {
 public:
  explicit Listener(std::function<void()> listener)
      : listener_(std::move(listener)) {}

  void Call() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (listener_ != nullptr) listener_();
  }

  void Stop() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    listener_ = nullptr;
  }

 private:
  absl::Mutex mu_;
  std::function<void()> listener_ ABSL_GUARDED_BY(mu_);  // Null: stopped.
};

std::unique_ptr<ModelWatch> ChangeNotifier::Watch(
    std::function<void()> listener) {
  class Handle : public ModelWatch {
   public:
    explicit Handle(std::shared_ptr<Listener> listener)
        : listener_(std::move(listener)) {}
    ~Handle() override { listener_->Stop(); }

   private:
    const std::shared_ptr<Listener> listener_;
  };

  auto shared = std::make_shared<Listener>(std::move(listener));
  absl::MutexLock lock(&mu_);
  std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
  listeners_.push_back(shared);
  return std::make_unique<Handle>(std::move(shared));
}

void ChangeNotifier::Notify() {
  std::vector<std::weak_ptr<Listener>> listeners;
  {
    absl::MutexLock lock(&mu_);
    listeners = listeners_;
  }
  for (const auto& weak : listeners) {
    if (const auto listener = weak.lock()) listener->Call();
  }
}

}  // namespace ddgan
