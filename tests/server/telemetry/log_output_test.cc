#include "server/telemetry/log_output.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// Logs, and ends the process as the server does after a second signal, while
// another thread is in the middle of logging.
[[noreturn]] void LogAndEnd() {
  SetUpLog(LogFormat::kText, "info");
  std::atomic<bool> logging = false;
  std::thread other([&logging] {
    // Fewer than the log holds, so that none is lost.
    for (int line = 0; line < 500; ++line) {
      spdlog::info("another thread's line");
      logging = true;
    }
    pause();
  });
  other.detach();
  while (!logging) std::this_thread::yield();
  spdlog::warn("the last line");
  EndLog();
  _exit(3);
}

TEST(LogOutputTest, WhatWasLoggedBeforeTheEndIsWritten) {
  // In a process that begins anew: one that was forked from a process with
  // threads may start none under ThreadSanitizer.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (int trial = 0; trial < 20; ++trial) {
    EXPECT_EXIT(LogAndEnd(), testing::ExitedWithCode(3), "the last line");
  }
}

// Ends with the number of lines that stderr did not take.
[[noreturn]] void LogToNobody() {
  signal(SIGPIPE, SIG_IGN);
  SetUpLog(LogFormat::kText, "info");
  int ends[2];
  if (pipe(ends) != 0) _exit(99);
  dup2(ends[1], STDERR_FILENO);
  close(ends[0]);
  for (int line = 0; line < 7; ++line) spdlog::info("nobody reads this");
  EndLog();
  _exit(static_cast<int>(LogLinesLost()));
}

TEST(LogOutputTest, CountsLinesThatStderrDoesNotTake) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(LogToNobody(), testing::ExitedWithCode(7), "");
}

TEST(LogOutputTest, EndsWithinTellsWhetherTheWorkEnded) {
  EXPECT_TRUE(EndsWithin(absl::Seconds(10), [] {}));
  // Never freed: the work outlives the test.
  auto& never = *new absl::Notification();
  EXPECT_FALSE(EndsWithin(absl::ZeroDuration(),
                          [&never] { never.WaitForNotification(); }));
}

}  // namespace
}  // namespace ddgan
