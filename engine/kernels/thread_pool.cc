#include "engine/kernels/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <new>
#include <string>
#include <system_error>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ddgan::kernels {
namespace {

// A kernel follows the one before within microseconds: a worker that slept in
// between would come late. Beyond this many looks it does sleep; they take some
// 50 microseconds.
constexpr int kLooks = 2000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Subnormal numbers are zero, in operands and results, while it lives.
class NoSubnormals {
 public:
#if defined(__x86_64__)
  NoSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~NoSubnormals() { _mm_setcsr(before_); }

 private:
  const unsigned before_;
#elif defined(__aarch64__)
  NoSubnormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | (uint64_t{1} << 24)));
  }
  ~NoSubnormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  uint64_t before_;
#else
#error "say here how this processor treats subnormal numbers as zero"
#endif
};

// Until `value` is not `old`.
template <typename T>
void WaitForChange(const std::atomic<T>& value, T old) {
  for (int look = 0; look < kLooks; ++look) {
    if (value.load(std::memory_order_acquire) != old) return;
    Pause();
  }
  value.wait(old, std::memory_order_acquire);
}

void Pin(pthread_t thread, int cpu) {
  const size_t cpus = static_cast<size_t>(cpu) + 1;
  const size_t size = CPU_ALLOC_SIZE(cpus);
  cpu_set_t* const set = CPU_ALLOC(cpus);
  if (set == nullptr) throw std::bad_alloc();
  CPU_ZERO_S(size, set);
  CPU_SET_S(static_cast<size_t>(cpu), size, set);
  const int error = pthread_setaffinity_np(thread, size, set);
  CPU_FREE(set);
  if (error != 0) {
    throw std::system_error(error, std::generic_category(),
                            "a thread cannot be on CPU " + std::to_string(cpu));
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads, int64_t least_work,
                       absl::Span<const int> cpus)
    : least_work_(least_work) {
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (size_t i = 1; i < static_cast<size_t>(threads); ++i) {
      workers_.emplace_back([this, i] { Work(static_cast<int>(i)); });
      if (!cpus.empty()) Pin(workers_.back().native_handle(), cpus[i]);
    }
    if (!cpus.empty()) Pin(pthread_self(), cpus[0]);
  } catch (...) {
    Stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  stopping_.store(true);
  job_.fetch_add(1);
  job_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(int64_t tasks, int64_t work,
                     absl::FunctionRef<void(int64_t)> task) {
  RunOnThreads(tasks, work, [task](int64_t i, int) { task(i); });
}

void ThreadPool::RunOnThreads(int64_t tasks, int64_t work,
                              absl::FunctionRef<void(int64_t, int)> task) {
  const NoSubnormals no_subnormals;
  if (workers_.empty() || tasks <= 1 || tasks * work < least_work_) {
    for (int64_t i = 0; i < tasks; ++i) task(i, 0);
    return;
  }
  const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
  task_ = &task;
  tasks_ = tasks;
  done_.store(0, std::memory_order_relaxed);
  left_.store(uint64_t{job} << 32 | static_cast<uint64_t>(tasks),
              std::memory_order_release);
  job_.store(job, std::memory_order_release);
  job_.notify_all();
  TakeTasks(job, 0);
  const uint32_t all = static_cast<uint32_t>(tasks);
  for (uint32_t done = done_.load(std::memory_order_acquire); done != all;
       done = done_.load(std::memory_order_acquire)) {
    WaitForChange(done_, done);
  }
}

void ThreadPool::TakeTasks(uint32_t job, int thread) {
  uint32_t taken = 0;
  uint64_t left = left_.load(std::memory_order_acquire);
  while (left >> 32 == job && static_cast<uint32_t>(left) != 0) {
    if (!left_.compare_exchange_weak(left, left - 1,
                                     std::memory_order_acquire)) {
      continue;
    }
    (*task_)(tasks_ - static_cast<uint32_t>(left), thread);
    ++taken;
    left = left_.load(std::memory_order_acquire);
  }
  if (taken == 0) return;
  done_.fetch_add(taken, std::memory_order_release);
  done_.notify_one();
}

void ThreadPool::Work(int thread) {
  const NoSubnormals no_subnormals;
  uint32_t job = 0;
  while (true) {
    WaitForChange(job_, job);
    job = job_.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    TakeTasks(job, thread);
  }
}

}  // namespace ddgan::kernels
