// What LibTorch throws, as absl::Status. No LibTorch in this header.
#ifndef DDGAN_ENGINE_BASE_LIBTORCH_ERRORS_H_
#define DDGAN_ENGINE_BASE_LIBTORCH_ERRORS_H_

#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// What `work` throws: Ok if nothing, or else as CatchingLibTorch says.
absl::Status CatchThrown(absl::string_view doing,
                         absl::FunctionRef<void()> work);

// Runs `work` and returns what it returns, an absl::Status or absl::StatusOr,
// or, if it throws, a status whose message begins with "<doing>: ":
//   ResourceExhausted  memory ran out, the host's or a device's
//   Internal           anything else
// The C++ stack that LibTorch's what() has is not in it: messages go to logs
// and to callers.
template <typename Work>
std::invoke_result_t<Work&> CatchingLibTorch(absl::string_view doing,
                                             Work&& work) {
  std::invoke_result_t<Work&> result;
  absl::Status thrown = CatchThrown(doing, [&] { result = work(); });
  if (!thrown.ok()) return thrown;
  return result;
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_LIBTORCH_ERRORS_H_
