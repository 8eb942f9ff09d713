// A device that breaks: preloaded into a server (LD_PRELOAD), it lets every
// step on a CPU lane fail for lack of memory for as long as the file exists that
// DDGAN_FAILING_STEPS names. It stands in for the function of libhwy by which
// each of engine/kernels finds the code for this processor. For lanes of one
// thread: a kernel that is shared by threads may not throw.
#include <dlfcn.h>
#include <hwy/targets.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

namespace hwy {

ChosenTarget& GetChosenTarget() {
  using Function = ChosenTarget& (*)();
  static const Function find = reinterpret_cast<Function>(
      dlsym(RTLD_NEXT, "_ZN3hwy15GetChosenTargetEv"));
  static const char* const path = std::getenv("DDGAN_FAILING_STEPS");
  if (path != nullptr && access(path, F_OK) == 0) throw std::bad_alloc();
  return find();
}

}  // namespace hwy
