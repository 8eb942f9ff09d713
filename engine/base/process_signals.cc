#include "engine/base/process_signals.h"

#include <signal.h>

namespace ddgan {

void IgnoreBrokenPipes() { signal(SIGPIPE, SIG_IGN); }

bool IsIgnored(int signal) {
  struct sigaction action;
  return sigaction(signal, nullptr, &action) == 0 &&
         (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace ddgan
