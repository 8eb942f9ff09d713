#include "server/telemetry/log_output.h"

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "spdlog/async.h"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/sinks/sink.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

constexpr size_t kMaxWaitingLines = 1024;

std::atomic<int64_t> lines_not_taken = 0;

// spdlog's own says nothing of a line that could not be written.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (fwrite(line.data(), 1, line.size(), stderr) == line.size()) return;
    clearerr(stderr);
    ++lines_not_taken;
  }
  void flush_() override {}  // stderr keeps nothing back.
};

// Tells when the thread that writes has come to its message.
class MarkerSink : public spdlog::sinks::sink {
 public:
  explicit MarkerSink(absl::Notification* reached) : reached_(reached) {}
  void log(const spdlog::details::log_msg&) override { reached_->Notify(); }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  absl::Notification* const reached_;
};

// Behind the default logger.
struct Writer {
  absl::Mutex mu;
  // Not ended by EndLog: whoever is logging at that moment still needs it.
  std::shared_ptr<spdlog::details::thread_pool> thread ABSL_GUARDED_BY(mu);
  bool ended ABSL_GUARDED_BY(mu) = false;
  absl::Notification written;  // What was logged before the end.
};

// Never destroyed: a thread may be at it when the process ends.
Writer& TheWriter() {
  static Writer& writer = *new Writer();
  return writer;
}

}  // namespace

void SetUpLog(LogFormat format, const std::string& level) {
  auto thread =
      std::make_shared<spdlog::details::thread_pool>(kMaxWaitingLines, 1);
  auto sink = std::make_shared<StderrSink>();
  sink->set_formatter(MakeLogFormatter(format));
  auto logger = std::make_shared<spdlog::async_logger>(
      "ddgan", std::move(sink), thread,
      spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
  Writer& writer = TheWriter();
  absl::MutexLock lock(&writer.mu);
  writer.thread = std::move(thread);
}

int64_t LogLinesLost() {
  Writer& writer = TheWriter();
  absl::MutexLock lock(&writer.mu);
  const size_t overrun =
      writer.thread == nullptr ? 0 : writer.thread->overrun_counter();
  return lines_not_taken + static_cast<int64_t>(overrun);
}

bool EndLog(absl::Duration limit) {
  Writer& writer = TheWriter();
  std::shared_ptr<spdlog::details::thread_pool> thread;
  {
    absl::MutexLock lock(&writer.mu);
    if (writer.thread == nullptr) return true;
    if (!std::exchange(writer.ended, true)) thread = writer.thread;
  }
  if (thread == nullptr) {  // Somebody else is ending it.
    return writer.written.WaitForNotificationWithTimeout(limit);
  }
  spdlog::set_level(spdlog::level::off);
  // Blocks while the queue is full and nobody reads.
  return EndsWithin(limit, [&writer, thread = std::move(thread)] {
    const auto marker = std::make_shared<spdlog::async_logger>(
        "end", std::make_shared<MarkerSink>(&writer.written), thread,
        spdlog::async_overflow_policy::block);
    marker->critical("");
    writer.written.WaitForNotification();
  });
}

bool EndsWithin(absl::Duration limit, absl::AnyInvocable<void()> work) {
  const auto ended = std::make_shared<absl::Notification>();
  std::thread([ended, work = std::move(work)]() mutable {
    work();
    ended->Notify();
  }).detach();
  return ended->WaitForNotificationWithTimeout(limit);
}

}  // namespace ddgan
