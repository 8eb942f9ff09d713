#include "server/calls/worker_threads.h"

#include <sys/resource.h>

#include <utility>

namespace ddgan {

WorkerThreads::WorkerThreads(int count, int niceness) {
  threads_.reserve(count);
  for (int i = 0; i < count; ++i) {
    threads_.emplace_back([this, niceness] {
      // For Linux, 0 is this thread alone. One that cannot yield still works.
      if (niceness > 0) setpriority(PRIO_PROCESS, 0, niceness);
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
