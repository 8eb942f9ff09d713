// What LibTorch throws, as absl::Status. No LibTorch in this header.
#ifndef DDGAN_ENGINE_LIBTORCH_ERRORS_H_
#define DDGAN_ENGINE_LIBTORCH_ERRORS_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// Runs `work` and returns what it returns or, if it throws, a status whose
// message begins with "<doing>: ":
//   ResourceExhausted  memory ran out, the host's or a device's
//   Internal           anything else
// The C++ stack that LibTorch's what() has is not in it: messages go to logs
// and to callers.
absl::Status CatchingLibTorch(absl::string_view doing,
                              absl::FunctionRef<absl::Status()> work);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LIBTORCH_ERRORS_H_
