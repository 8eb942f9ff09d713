// A device that breaks: preloaded into a server (LD_PRELOAD), it lets
// LibTorch's allocations of tensors fail for as long as the file exists that
// DDGAN_FAILING_ALLOCATIONS names. Those are libc10's alone: other libraries
// that ask for aligned memory are not made to expect what never happens to
// them. With DDGAN_FAILING_THREADS=one only the thread fails that is the first
// to ask while the file exists: one lane of several.
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

std::atomic<pid_t> chosen{0};  // The one thread that fails; 0: not known yet.

bool IsIn(const void* code, const char* library) {
  Dl_info info;
  return dladdr(code, &info) != 0 && info.dli_fname != nullptr &&
         std::strstr(info.dli_fname, library) != nullptr;
}

// Whether the calling thread is among those that fail while the file exists.
bool IsChosen() {
  static const char* const threads = std::getenv("DDGAN_FAILING_THREADS");
  if (threads == nullptr || std::strcmp(threads, "one") != 0) return true;
  pid_t nobody = 0;
  return chosen.compare_exchange_strong(nobody, gettid()) || nobody == gettid();
}

}  // namespace

extern "C" int posix_memalign(void** result, size_t alignment, size_t size) {
  using Function = int (*)(void**, size_t, size_t);
  static const Function allocate =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "posix_memalign"));
  static const char* const path = std::getenv("DDGAN_FAILING_ALLOCATIONS");
  if (path != nullptr) {
    // The file first: to find a library takes long.
    if (access(path, F_OK) != 0) {
      chosen = 0;
    } else if (IsIn(__builtin_return_address(0), "libc10.so") && IsChosen()) {
      return ENOMEM;
    }
  }
  return allocate(result, alignment, size);
}
