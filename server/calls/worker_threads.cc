#include "server/calls/worker_threads.h"

#include <unistd.h>

#include <utility>

namespace ddgan {

WorkerThreads::WorkerThreads(int count, int niceness) {
  threads_.reserve(count);
  for (int i = 0; i < count; ++i) {
    threads_.emplace_back([this, niceness] {
      // For Linux, of this thread alone. One that cannot yield still works.
      [[maybe_unused]] const int now = nice(niceness);
      RunTasks();
    });
  }
}

WorkerThreads::~WorkerThreads() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkerThreads::Run(Task task) {
  absl::MutexLock lock(&mu_);
  tasks_.push_back(std::move(task));
}

void WorkerThreads::RunTasks() {
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &WorkerThreads::HasWorkOrStops));
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    std::move(task)();
  }
}

}  // namespace ddgan
