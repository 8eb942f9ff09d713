// One log line for each call that has ended.
#ifndef DDGAN_SERVER_TELEMETRY_ACCESS_LOG_H_
#define DDGAN_SERVER_TELEMETRY_ACCESS_LOG_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/access/access_record.h"
#include "server/telemetry/log_format.h"

namespace ddgan {

// Which calls have a line.
enum class AccessLogLevel {
  kNone,
  kErrors,  // Those that did not end with OK.
  kAll,
};

// What a line says: "access key=value ..." or a JSON object. Times are in
// seconds; a seed is a string in JSON, whose numbers do not hold 64 bits
// everywhere. Names and messages are cut to 256 bytes.
std::string FormatAccess(const AccessRecord& record, LogFormat format);

// Thread-safe. Lines are written by a thread of its own, so that a call never
// waits for whoever reads the log: if 8192 lines wait, the oldest is lost.
class AccessLog final : public AccessRecorder {
 public:
  // Writes to the sinks of spdlog's default logger, whatever its level.
  // `on_lost`: called with a number of lines that were lost, by Write.
  AccessLog(AccessLogLevel level, LogFormat format,
            std::function<void(int)> on_lost);

  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // Writes what waits, for at most kLogEndTimeout.
  ~AccessLog() override;

  // Whether a call that ended so has a line.
  bool Takes(const absl::Status& status) const override {
    return level_ == AccessLogLevel::kAll ||
           (level_ == AccessLogLevel::kErrors && !status.ok());
  }

  // Returns at once.
  void Write(const AccessRecord& record) override;

 private:
  struct Writer;

  const AccessLogLevel level_;
  const LogFormat format_;
  const std::function<void(int)> on_lost_;
  std::unique_ptr<Writer> writer_;  // Constant until the end. Null for kNone.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_ACCESS_LOG_H_
