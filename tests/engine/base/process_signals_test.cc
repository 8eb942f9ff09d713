#include "engine/base/process_signals.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

// In a process of its own: what a process does about signals it does for all
// tests.
[[noreturn]] void WriteToNobody(bool ignore) {
  signal(SIGPIPE, SIG_DFL);
  if (ignore) IgnoreBrokenPipes();
  int ends[2];
  if (pipe(ends) != 0) _exit(1);
  close(ends[0]);
  const ssize_t written = write(ends[1], "x", 1);
  _exit(written < 0 && errno == EPIPE ? 3 : 2);
}

TEST(ProcessSignalsTest, AReaderThatIsGoneIsAnError) {
  EXPECT_EXIT(WriteToNobody(false), testing::KilledBySignal(SIGPIPE), "");
  EXPECT_EXIT(WriteToNobody(true), testing::ExitedWithCode(3), "");
}

[[noreturn]] void TellWhetherIgnored(void (*handler)(int)) {
  signal(SIGHUP, handler);
  _exit(IsIgnored(SIGHUP) ? 3 : 2);
}

TEST(ProcessSignalsTest, KnowsWhatWhoeverStartedItWantsIgnored) {
  EXPECT_EXIT(TellWhetherIgnored(SIG_IGN), testing::ExitedWithCode(3), "");
  EXPECT_EXIT(TellWhetherIgnored(SIG_DFL), testing::ExitedWithCode(2), "");
}

}  // namespace
}  // namespace ddgan
