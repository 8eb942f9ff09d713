// A device that breaks: preloaded into a server (LD_PRELOAD), it lets
// LibTorch's allocations of tensors fail for as long as the file exists that
// DDGAN_FAILING_ALLOCATIONS names. Those are libc10's alone: other libraries
// that ask for aligned memory are not made to expect what never happens to
// them.
#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

bool IsIn(const void* code, const char* library) {
  Dl_info info;
  return dladdr(code, &info) != 0 && info.dli_fname != nullptr &&
         std::strstr(info.dli_fname, library) != nullptr;
}

}  // namespace

extern "C" int posix_memalign(void** result, size_t alignment, size_t size) {
  using Function = int (*)(void**, size_t, size_t);
  static const Function allocate =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "posix_memalign"));
  static const char* const path = std::getenv("DDGAN_FAILING_ALLOCATIONS");
  if (path != nullptr && access(path, F_OK) == 0 &&
      IsIn(__builtin_return_address(0), "libc10.so")) {
    return ENOMEM;
  }
  return allocate(result, alignment, size);
}
