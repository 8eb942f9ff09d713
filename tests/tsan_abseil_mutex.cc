// Tells ThreadSanitizer what absl::Mutex and absl::CondVar order. Debian's
// Abseil is built without it, so that every access guarded by a Mutex would be
// reported as a race. These definitions come before those of
// libabsl_synchronization.so, for our code, for Abseil's own Notification and
// for other libraries alike, and call the real ones.
//
// Linked into every test of a build with DDGAN_SANITIZE=thread, and nowhere
// else.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>

#include "absl/base/options.h"
#include "absl/synchronization/mutex.h"

namespace {

// The definition that the dynamic linker would have used without this file.
template <typename Function>
Function Next(const char* mangled_name) {
  void* const symbol = dlsym(RTLD_NEXT, mangled_name);
  if (symbol == nullptr) std::abort();
  return reinterpret_cast<Function>(symbol);
}

}  // namespace

// The inline namespace of Debian 12's package, with its length as mangled.
#define DDGAN_ABSL_SYMBOL(rest) "_ZN4absl7debian3" rest

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto next =
      Next<void (*)(Mutex*)>(DDGAN_ABSL_SYMBOL("5Mutex4LockEv"));
  next(this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static const auto next =
      Next<void (*)(Mutex*)>(DDGAN_ABSL_SYMBOL("5Mutex6UnlockEv"));
  __tsan_release(this);
  next(this);
}

bool Mutex::TryLock() {
  static const auto next =
      Next<bool (*)(Mutex*)>(DDGAN_ABSL_SYMBOL("5Mutex7TryLockEv"));
  const bool locked = next(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::ReaderLock() {
  static const auto next =
      Next<void (*)(Mutex*)>(DDGAN_ABSL_SYMBOL("5Mutex10ReaderLockEv"));
  next(this);
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  static const auto next =
      Next<void (*)(Mutex*)>(DDGAN_ABSL_SYMBOL("5Mutex12ReaderUnlockEv"));
  __tsan_release(this);
  next(this);
}

void Mutex::Await(const Condition& condition) {
  static const auto next = Next<void (*)(Mutex*, const Condition&)>(
      DDGAN_ABSL_SYMBOL("5Mutex5AwaitERKNS0_9ConditionE"));
  __tsan_release(this);
  next(this, condition);
  __tsan_acquire(this);
}

void CondVar::Wait(Mutex* mutex) {
  static const auto next = Next<void (*)(CondVar*, Mutex*)>(
      DDGAN_ABSL_SYMBOL("7CondVar4WaitEPNS0_5MutexE"));
  __tsan_release(mutex);
  next(this, mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto next = Next<bool (*)(CondVar*, Mutex*, Time)>(
      DDGAN_ABSL_SYMBOL("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"));
  __tsan_release(mutex);
  const bool expired = next(this, mutex, deadline);
  __tsan_acquire(mutex);
  return expired;
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto next =
      Next<bool (*)(CondVar*, Mutex*, Duration)>(DDGAN_ABSL_SYMBOL(
          "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE"));
  __tsan_release(mutex);
  const bool expired = next(this, mutex, timeout);
  __tsan_acquire(mutex);
  return expired;
}

ABSL_NAMESPACE_END
}  // namespace absl
