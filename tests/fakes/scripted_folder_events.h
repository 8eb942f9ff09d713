// Folder events that a test makes, and after which it knows that they were
// seen.
#ifndef DDGAN_TESTS_FAKES_SCRIPTED_FOLDER_EVENTS_H_
#define DDGAN_TESTS_FAKES_SCRIPTED_FOLDER_EVENTS_H_

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/base/folder_events.h"

namespace ddgan {

// Time never passes here: Wait ends with Change, Elapse or Wake only.
class ScriptedFolderEvents : public FolderEvents {
 public:
  // Ends a wait and returns once the watcher waits again.
  void Change() { EndWait(true); }
  // The same as if the time had passed.
  void Elapse() { EndWait(false); }

  // Watch fails from now on.
  void Break(absl::Status status) {
    absl::MutexLock lock(&mu_);
    watch_ = std::move(status);
  }

  // What the last Wait was given, once somebody waits.
  absl::Duration AwaitTimeout() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&waiting_));
    return timeout_;
  }

  absl::Status Watch(const std::vector<std::filesystem::path>&) override {
    absl::MutexLock lock(&mu_);
    return watch_;
  }

  bool Wait(absl::Duration timeout) override {
    absl::MutexLock lock(&mu_);
    timeout_ = timeout;
    waiting_ = true;
    ++waits_;
    mu_.Await(absl::Condition(&ended_));
    ended_ = false;
    waiting_ = false;
    return changed_;
  }

  void Wake() override {
    absl::MutexLock lock(&mu_);
    changed_ = true;
    ended_ = true;
  }

 private:
  void EndWait(bool changed) {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&waiting_));
    const int waits = waits_;
    changed_ = changed;
    ended_ = true;
    auto again = [this, waits]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return waits_ > waits && !ended_;
    };
    mu_.Await(absl::Condition(&again));
  }

  absl::Mutex mu_;
  absl::Status watch_ ABSL_GUARDED_BY(mu_);
  absl::Duration timeout_ ABSL_GUARDED_BY(mu_);
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool changed_ ABSL_GUARDED_BY(mu_) = false;
  int waits_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SCRIPTED_FOLDER_EVENTS_H_
