#include "server/telemetry/access_log.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/telemetry/log_output.h"
#include "spdlog/async.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

constexpr size_t kMaxTextSize = 256;
constexpr size_t kMaxWaitingLines = 8192;

// Puts a line together, member by member.
class Line {
 public:
  explicit Line(LogFormat format) : format_(format) {
    out_ = format == LogFormat::kJson ? "{\"event\":\"call\"" : "access";
  }

  // Of any bytes.
  void AddText(absl::string_view key, absl::string_view value) {
    if (value.empty()) return;
    const std::string quoted = QuoteForJson(value.substr(0, kMaxTextSize));
    // In text, quotes are for values with anything in them that could be
    // mistaken for the line's own.
    const bool is_plain = std::all_of(value.begin(), value.end(), [](char c) {
      return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '=';
    });
    if (format_ == LogFormat::kText && is_plain) {
      AddRaw(key, value.substr(0, kMaxTextSize));
    } else {
      AddRaw(key, quoted);
    }
  }

  void AddNumber(absl::string_view key, std::optional<int64_t> value) {
    if (value.has_value()) AddRaw(key, absl::StrCat(*value));
  }

  void AddSeconds(absl::string_view key, std::optional<absl::Duration> value) {
    // To the microsecond, never as 1e-05.
    if (!value.has_value()) return;
    AddRaw(key, fmt::format("{:.6f}", absl::ToDoubleSeconds(*value)));
  }

  std::string Take() && {
    if (format_ == LogFormat::kJson) out_ += '}';
    return std::move(out_);
  }

 private:
  void AddRaw(absl::string_view key, absl::string_view value) {
    if (format_ == LogFormat::kJson) {
      absl::StrAppend(&out_, ",\"", key, "\":", value);
    } else {
      absl::StrAppend(&out_, " ", key, "=", value);
    }
  }

  const LogFormat format_;
  std::string out_;
};

}  // namespace

std::string FormatAccess(const AccessRecord& record, LogFormat format) {
  Line line(format);
  line.AddText("request_id", record.trace.span_id);
  line.AddText("trace_id", record.trace.trace_id);
  line.AddText("parent_id", record.trace.parent_id);
  line.AddText("caller", record.caller);
  line.AddText("method", record.method);
  line.AddText("model", record.model);
  line.AddNumber("version", record.version);
  line.AddNumber("count", record.count);
  if (record.seed.has_value()) {
    line.AddText("seed", absl::StrCat(*record.seed));
  }
  line.AddText("code", absl::StatusCodeToString(record.status.code()));
  line.AddText("error", record.status.message());
  line.AddSeconds("queue_s", record.queue);
  line.AddSeconds("steps_s", record.steps);
  line.AddSeconds("encode_s", record.encode);
  line.AddSeconds("total_s", record.total);
  line.AddNumber("reply_bytes", record.reply_bytes);
  return std::move(line).Take();
}

struct AccessLog::Writer {
  Writer()
      : thread(std::make_shared<spdlog::details::thread_pool>(kMaxWaitingLines,
                                                              1)) {
    const auto& sinks = spdlog::default_logger_raw()->sinks();
    logger = std::make_shared<spdlog::async_logger>(
        kAccessLogger, sinks.begin(), sinks.end(), thread,
        spdlog::async_overflow_policy::overrun_oldest);
  }

  // How many lines were lost since this was last asked.
  int TakeLost() ABSL_LOCKS_EXCLUDED(mu) {
    absl::MutexLock lock(&mu);
    const size_t total = thread->overrun_counter();
    return static_cast<int>(total - std::exchange(reported, total));
  }

  std::shared_ptr<spdlog::details::thread_pool> thread;
  std::shared_ptr<spdlog::async_logger> logger;
  absl::Mutex mu;
  size_t reported ABSL_GUARDED_BY(mu) = 0;
};

AccessLog::AccessLog(AccessLogLevel level, LogFormat format,
                     std::function<void(int)> on_lost)
    : level_(level),
      format_(format),
      on_lost_(std::move(on_lost)),
      writer_(level == AccessLogLevel::kNone ? nullptr
                                             : std::make_unique<Writer>()) {}

AccessLog::~AccessLog() {
  if (writer_ == nullptr) return;
  EndsWithin(kLogEndTimeout,
             [writer = std::move(writer_)]() mutable { writer.reset(); });
}

void AccessLog::Write(const AccessRecord& record) {
  if (!Takes(record.status)) return;
  // As an argument: the text is no format of ours.
  writer_->logger->info("{}", FormatAccess(record, format_));
  if (const int lost = writer_->TakeLost(); lost > 0) on_lost_(lost);
}

}  // namespace ddgan
