// How long work on files and weights learns that its result is no longer
// wanted, so that a process that stops need not wait for it.
#ifndef DDGAN_ENGINE_BASE_STOP_CHECK_H_
#define DDGAN_ENGINE_BASE_STOP_CHECK_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace ddgan {

// True: give up. The work calls it on its own thread, at least once for every
// kStopCheckBytes that it goes through, and returns Cancelled after a true.
using StopCheck = absl::FunctionRef<bool()>;
inline constexpr size_t kStopCheckBytes = size_t{4} << 20;

// For work that always runs to its end.
inline bool NeverStop() { return false; }

// Cancelled if `stopped` says so.
inline absl::Status CheckStop(StopCheck stopped) {
  return stopped() ? absl::CancelledError("was given up before it was done")
                   : absl::OkStatus();
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_STOP_CHECK_H_
