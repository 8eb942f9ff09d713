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
  // Operations that take ten times as long as handing a job to threads that
  // look for one, some 3 microseconds.
  static constexpr int64_t kLeastWork = 6 * 1024;

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
  // are less than `least_work`. The caller waits for tasks that others have
  // begun, never for a thread that sleeps or has no CPU. `work`: of one task,
  // in operations on 16 floats. tasks < 2^32. `task` must not throw.
  void Run(int64_t tasks, int64_t work, absl::FunctionRef<void(int64_t)> task);

  // The same; each call is told on which thread it is, in [0, threads()): the
  // caller is 0. For tasks that need memory of their own.
  void RunOnThreads(int64_t tasks, int64_t work,
                    absl::FunctionRef<void(int64_t, int)> task);

 private:
  void Work(int thread);
  // Takes tasks of this job until none is left or another one is on.
  void TakeTasks(uint32_t job, int thread);
  void Stop();

  const int64_t least_work_;
  // One job after another; written by Run while no task is taken, read by who
  // has taken one.
  const absl::FunctionRef<void(int64_t, int)>* task_ = nullptr;
  int64_t tasks_ = 0;
  // The present job in the upper half, how many of its tasks nobody has taken
  // in the lower one: a thread that comes late takes none of another job's.
  std::atomic<uint64_t> left_{0};
  std::atomic<uint32_t> done_{0};  // Tasks of the present job.
  // Counts jobs, and the end as one more; what workers wait for.
  std::atomic<uint32_t> job_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_THREAD_POOL_H_
