#include "engine/base/openmp_waiting.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ddgan {

void ChooseOpenMpWaiting(const char* program, const char* policy, char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    setenv("OMP_WAIT_POLICY", policy, 1);
    execv("/proc/self/exe", argv);
    std::fprintf(stderr, "%s: cannot restart with OMP_WAIT_POLICY set: %s\n",
                 program, std::strerror(errno));
  }
  // Else ps and killall know a restarted process as "exe".
  prctl(PR_SET_NAME, program);
}

}  // namespace ddgan
