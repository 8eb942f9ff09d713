// The threads of a lane: they share out the tasks of one kernel after another.
#ifndef DDGAN_ENGINE_KERNELS_THREAD_POOL_H_
#define DDGAN_ENGINE_KERNELS_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace ddgan::kernels {

// Thread-compatible: Run is called by one thread at a time. In Run, subnormal
// numbers count as zero on every thread, the caller too, so that results do not
// depend on who computes them.
class ThreadPool {
 public:
  // Operations that take ten times as long as waking and joining the others,
  // some 30 microseconds.
  static constexpr int64_t kLeastWork = 64 * 1024;

  // `threads` with the caller of Run. >= 1. `cpus`: empty, or the number of the
  // CPU that each thread is to stay on, first that of the constructor's caller,
  // who then calls Run. Throws std::system_error if a thread cannot be started
  // or may not be on its CPU.
  explicit ThreadPool(int threads, int64_t least_work = kLeastWork,
                      absl::Span<const int> cpus = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(i) once for each i in [0, tasks), in any order, and returns when
  // all are done: on all threads, or on the caller alone if the tasks together
  // are less than `least_work`. `work`: of one task, in operations on 16
  // floats. `task` must not throw.
  void Run(int64_t tasks, int64_t work, absl::FunctionRef<void(int64_t)> task);

 private:
  void Work();
  void TakeTasks(absl::FunctionRef<void(int64_t)> task, int64_t tasks);
  void Stop();

  const int64_t least_work_;
  // One job after another; written by Run while no worker is in one.
  const absl::FunctionRef<void(int64_t)>* task_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_task_{0};
  // Workers that have not left the present job.
  std::atomic<int> working_{0};
  // Counts jobs, and the end as one more.
  std::atomic<uint32_t> job_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_THREAD_POOL_H_
