// A lane that breaks: preloaded into a server (LD_PRELOAD), it lets every step
// of one CPU lane fail for lack of memory for as long as the file exists that
// DDGAN_FAILING_LANE names. It is the lane that runs a step first meanwhile. It
// stands in for the function of libhwy by which each of engine/kernels finds
// the code for this processor, since a step calls nothing else for sure. For
// lanes of one thread: a kernel that is shared by threads may not throw.
#include <dlfcn.h>
#include <hwy/targets.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<pid_t> chosen{0};  // The thread that fails; 0: none yet.

bool Fails() {
  static const char* const path = std::getenv("DDGAN_FAILING_LANE");
  if (path == nullptr) return false;
  if (access(path, F_OK) != 0) {
    chosen = 0;
    return false;
  }
  pid_t nobody = 0;
  return chosen.compare_exchange_strong(nobody, gettid()) || nobody == gettid();
}

}  // namespace

namespace hwy {

ChosenTarget& GetChosenTarget() {
  using Function = ChosenTarget& (*)();
  static const Function find = reinterpret_cast<Function>(
      dlsym(RTLD_NEXT, "_ZN3hwy15GetChosenTargetEv"));
  if (Fails()) throw std::bad_alloc();
  return find();
}

}  // namespace hwy
