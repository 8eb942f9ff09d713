#include "engine/base/libtorch_errors.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// The host's allocator throws no OutOfMemoryError; its messages have its name
// ("DefaultCPUAllocator: can't allocate memory: you tried to allocate ...").
bool IsOutOfHostMemory(const c10::Error& error) {
  return absl::StrContains(error.what_without_backtrace(),
                           "DefaultCPUAllocator: ");
}

}  // namespace

absl::Status CatchThrown(absl::string_view doing,
                         absl::FunctionRef<void()> work) {
  try {
    work();
    return absl::OkStatus();
  } catch (const c10::OutOfMemoryError& e) {
    return absl::ResourceExhaustedError(
        absl::StrCat(doing, ": ", e.what_without_backtrace()));
  } catch (const c10::Error& e) {
    const auto message = absl::StrCat(doing, ": ", e.what_without_backtrace());
    return IsOutOfHostMemory(e) ? absl::ResourceExhaustedError(message)
                                : absl::InternalError(message);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(doing, ": out of memory"));
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat(doing, ": ", e.what()));
  }
}

}  // namespace ddgan
