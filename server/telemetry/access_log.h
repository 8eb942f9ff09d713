// One log line for each call that has ended.
#ifndef DDGAN_SERVER_TELEMETRY_ACCESS_LOG_H_
#define DDGAN_SERVER_TELEMETRY_ACCESS_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/access/trace_context.h"
#include "server/telemetry/log_format.h"

namespace ddgan {

// Which calls have a line.
enum class AccessLogLevel {
  kNone,
  kErrors,  // Those that did not end with OK.
  kAll,
};

// What is told about a call; what is unset or empty was not known when it
// ended. No metadata but the trace is in it, hence no token.
struct AccessRecord {
  TraceContext trace;
  std::string method;  // "Generate".
  // As fair sharing knows it (request_conversion.h), or the peer's address if
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

// What a line says: "access key=value ..." or a JSON object. Times are in
// seconds; a seed is a string in JSON, whose numbers do not hold 64 bits
// everywhere. Names and messages are cut to 256 bytes.
std::string FormatAccess(const AccessRecord& record, LogFormat format);

// Thread-safe. Lines are written by a thread of its own, so that a call never
// waits for whoever reads the log: if 8192 lines wait, the oldest is lost.
class AccessLog {
 public:
  // Writes to the sinks of spdlog's default logger, whatever its level.
  // `on_lost`: called with a number of lines that were lost, by Write.
  AccessLog(AccessLogLevel level, LogFormat format,
            std::function<void(int)> on_lost);

  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // Writes what waits, for at most kLogEndTimeout.
  ~AccessLog();

  // Whether a call that ended so has a line.
  bool Takes(const absl::Status& status) const {
    return level_ == AccessLogLevel::kAll ||
           (level_ == AccessLogLevel::kErrors && !status.ok());
  }

  // Returns at once.
  void Write(const AccessRecord& record);

 private:
  struct Writer;

  const AccessLogLevel level_;
  const LogFormat format_;
  const std::function<void(int)> on_lost_;
  std::unique_ptr<Writer> writer_;  // Constant until the end. Null for kNone.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_ACCESS_LOG_H_
