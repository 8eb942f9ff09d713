// The process's log. Lines go to stderr by threads of their own, so that
// whoever reads stderr slowly, or not at all, holds up nothing: neither a call
// nor a drain.
#ifndef DDGAN_SERVER_TELEMETRY_LOG_OUTPUT_H_
#define DDGAN_SERVER_TELEMETRY_LOG_OUTPUT_H_

#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "server/telemetry/log_format.h"

namespace ddgan {

// How long the end of a log may take: beyond it, nobody reads.
inline constexpr absl::Duration kLogEndTimeout = absl::Seconds(1);

// Makes spdlog's default logger one that never blocks: if 1024 lines wait, the
// oldest is lost. Once, before other threads log. `level` is one of spdlog's
// names.
void SetUpLog(LogFormat format, const std::string& level);

// How many lines are lost so far: overrun by newer ones, or not taken by
// stderr, whose disk is full or whose reader is gone; of the latter those of
// the access log, too. Thread-safe.
int64_t LogLinesLost();

// Writes what waits and ends the log that SetUpLog has begun, after which
// nothing is logged; others may be logging meanwhile. Whether it took no longer
// than `limit`; if not, the process is to end by _exit, since a thread may be
// stuck for ever. Thread-safe; a second call waits for the first.
bool EndLog(absl::Duration limit = kLogEndTimeout);

// Whether `work`, on a thread of its own, ends within `limit`. If not, it goes
// on by itself.
bool EndsWithin(absl::Duration limit, absl::AnyInvocable<void()> work);

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_LOG_OUTPUT_H_
