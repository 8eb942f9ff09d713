#include "client/playground/event_outbox.h"

namespace ddgan::playground {

bool EventOutbox::Write(const std::string& event) {
  absl::MutexLock lock(&mu_);
  if (gone_ || ended_) return false;
  waiting_ += event;
  wake_();
  return true;
}

bool EventOutbox::AwaitRoom() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &EventOutbox::HasRoom));
  return !gone_;
}

void EventOutbox::End() {
  absl::MutexLock lock(&mu_);
  if (gone_) return;
  ended_ = true;
  on_gone_ = nullptr;
  wake_();
}

void EventOutbox::OnGone(std::function<void()> callback) {
  {
    absl::MutexLock lock(&mu_);
    if (!gone_) {
      on_gone_ = std::move(callback);
      return;
    }
  }
  callback();
}

std::pair<std::string, bool> EventOutbox::Take() {
  absl::MutexLock lock(&mu_);
  std::string next = std::exchange(waiting_, "");
  const bool at_end = next.empty() && ended_;
  return {std::move(next), at_end};
}

bool EventOutbox::ended() const {
  absl::MutexLock lock(&mu_);
  return ended_;
}

void EventOutbox::SetGone() {
  std::function<void()> callback;
  {
    absl::MutexLock lock(&mu_);
    gone_ = true;
    std::swap(callback, on_gone_);
  }
  if (callback) callback();
}

}  // namespace ddgan::playground
