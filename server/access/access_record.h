// What is known of a call that has ended, and who writes it down.
#ifndef DDGAN_SERVER_ACCESS_ACCESS_RECORD_H_
#define DDGAN_SERVER_ACCESS_ACCESS_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/access/trace_context.h"

namespace ddgan {

// What is told about a call; what is unset or empty was not known when it
// ended. No metadata but the trace is in it, hence no token.
struct AccessRecord {
  TraceContext trace;
  std::string method;  // "Generate".
  // As fair sharing knows it (caller_name.h), or the peer's address if
  // the call was refused before that was known.
  std::string caller;
  std::string model;  // The one that took the call, else the one asked for.
  std::optional<int64_t> version;
  std::optional<uint32_t> count;
  std::optional<uint64_t> seed;
  absl::Status status;
  // Of a call that makes images: waiting for its first step, from then to its
  // last on the devices, and the encoding of its images.
  std::optional<absl::Duration> queue;
  std::optional<absl::Duration> steps;
  std::optional<absl::Duration> encode;
  absl::Duration total;  // From its arrival to its end.
  int64_t reply_bytes = 0;
};

// Thread-safe.
class AccessRecorder {
 public:
  virtual ~AccessRecorder() = default;
  // Whether a call that ended so is written down.
  virtual bool Takes(const absl::Status& status) const = 0;
  // Returns at once.
  virtual void Write(const AccessRecord& record) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_ACCESS_RECORD_H_
