// Reports of changes, made in the order of the changes and without a lock.
#ifndef DDGAN_ENGINE_VERSIONS_REPORT_QUEUE_H_
#define DDGAN_ENGINE_VERSIONS_REPORT_QUEUE_H_

#include <deque>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ddgan {

// Whoever makes a change posts the report of it while it holds the lock that
// guards the change, so that reports stand in the order of the changes, and
// delivers once it holds no lock. A report may therefore call whatever made the
// change. Thread-safe.
class ReportQueue {
 public:
  // Calls nothing.
  void Post(std::function<void()> report) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    reports_.push_back(std::move(report));
  }

  // Makes the reports that wait, one at a time. While a thread is at it, other
  // calls (and those from within a report) leave theirs to that thread.
  void Deliver() ABSL_LOCKS_EXCLUDED(mu_) {
    mu_.Lock();
    if (!delivering_) {
      delivering_ = true;
      while (!reports_.empty()) {
        const std::function<void()> report = std::move(reports_.front());
        reports_.pop_front();
        mu_.Unlock();
        report();
        mu_.Lock();
      }
      delivering_ = false;
    }
    mu_.Unlock();
  }

 private:
  absl::Mutex mu_;
  std::deque<std::function<void()>> reports_ ABSL_GUARDED_BY(mu_);
  bool delivering_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_REPORT_QUEUE_H_
