// Threads that run tasks in order of arrival, for work that a gRPC thread or a
// lane must not wait for.
#ifndef DDGAN_SERVER_CALLS_WORKER_THREADS_H_
#define DDGAN_SERVER_CALLS_WORKER_THREADS_H_

#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace ddgan {

// Thread-safe.
class WorkerThreads {
 public:
  using Task = absl::AnyInvocable<void()>;

  // `count` at least 1. `niceness` is the kernel's, [0, 19]: how much more
  // the threads yield to others than the one that starts them.
  explicit WorkerThreads(int count, int niceness = 0);

  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  // Runs what is queued, then joins the threads.
  ~WorkerThreads();

  // Runs `task` on one of the threads, tasks being started in order of arrival.
  // Returns at once. The queue has no bound of its own.
  void Run(Task task) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void RunTasks() ABSL_LOCKS_EXCLUDED(mu_);
  bool HasWorkOrStops() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || !tasks_.empty();
  }

  absl::Mutex mu_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::vector<std::thread> threads_;  // Constant after construction.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_WORKER_THREADS_H_
