#include "engine/kernels/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <system_error>
#include <thread>
#include <vector>

namespace ddgan::kernels {
namespace {

TEST(ThreadPool, CallsEachTaskOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads, /*least_work=*/0);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t tasks : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(tasks));
      pool.Run(tasks, 1, [&](int64_t i) { ++calls[static_cast<size_t>(i)]; });
      for (const auto& count : calls) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ThreadPool, TasksRunSideBySide) {
  ThreadPool pool(3, /*least_work=*/0);
  std::atomic<int> inside{0};
  // Ends only if three tasks are in it at once.
  pool.Run(3, 1, [&](int64_t) {
    ++inside;
    while (inside < 3) std::this_thread::yield();
  });
  EXPECT_EQ(inside, 3);
}

TEST(ThreadPool, TasksAreToldTheirThread) {
  ThreadPool pool(3, /*least_work=*/0);
  const auto caller = std::this_thread::get_id();
  for (int round = 0; round < 20; ++round) {
    std::array<int, 3> told;
    std::atomic<int> inside{0}, wrong{0};
    // All three at once, so each on a thread of its own.
    pool.RunOnThreads(3, 1, [&](int64_t i, int thread) {
      told[static_cast<size_t>(i)] = thread;
      if ((thread == 0) != (std::this_thread::get_id() == caller)) ++wrong;
      ++inside;
      while (inside < 3) std::this_thread::yield();
    });
    EXPECT_THAT(told, testing::UnorderedElementsAre(0, 1, 2));
    EXPECT_EQ(wrong, 0);
  }
}

TEST(ThreadPool, LittleWorkStaysWithTheCaller) {
  ThreadPool pool(3, /*least_work=*/100);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> elsewhere{0};
  pool.Run(99, 1, [&](int64_t i) {
    if (std::this_thread::get_id() != caller) ++elsewhere;
    if (i != 0) return;
    // Leaves another thread the time to wake up and take some, if it may.
    const auto give_up =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    while (elsewhere == 0 && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
    }
  });
  EXPECT_EQ(elsewhere, 0);
}

TEST(ThreadPool, SubnormalNumbersAreZeroOnEveryThread) {
  volatile float least = std::numeric_limits<float>::min();
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads, /*least_work=*/0);
    std::atomic<int> subnormal{0}, inside{0};
    // All at once, so each on a thread of its own.
    pool.Run(threads, 1, [&](int64_t) {
      if (least * 0.5f != 0) ++subnormal;
      ++inside;
      while (inside < threads) std::this_thread::yield();
    });
    EXPECT_EQ(subnormal, 0);
  }
  EXPECT_NE(least * 0.5f, 0) << "the caller's own setting has changed";
}

TEST(ThreadPool, ThreadsStayOnTheirCpus) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 2; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &allowed)) cpus.push_back(cpu);
  }
  // One CPU may serve both, where there are no two.
  cpus.resize(2, cpus[0]);
  std::thread([&] {
    ThreadPool pool(2, /*least_work=*/0, cpus);
    std::atomic<int> inside{0};
    std::array<int, 2> at;
    pool.Run(2, 1, [&](int64_t i) {
      ++inside;
      while (inside < 2) std::this_thread::yield();
      at[static_cast<size_t>(i)] = sched_getcpu();
    });
    EXPECT_THAT(at, testing::UnorderedElementsAreArray(cpus));
    // Without a place for it, nothing is left behind.
    cpus[1] = 100'000;
    EXPECT_THROW(ThreadPool(2, 0, cpus), std::system_error);
  }).join();
}

TEST(ThreadPool, WorkersWakeAfterTheyHaveSlept) {
  ThreadPool pool(2, /*least_work=*/0);
  std::atomic<int> inside{0};
  for (int round = 0; round < 3; ++round) {
    inside = 0;
    pool.Run(2, 1, [&](int64_t) {
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
    // Longer than a worker looks.
    for (int i = 0; i < 200'000; ++i) std::this_thread::yield();
  }
}

}  // namespace
}  // namespace ddgan::kernels
