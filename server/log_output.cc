#include "server/log_output.h"

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "spdlog/async.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

constexpr size_t kMaxWaitingLines = 1024;

// Of the default logger, which itself does not keep it alive.
struct Writer {
  absl::Mutex mu;
  std::shared_ptr<spdlog::details::thread_pool> thread ABSL_GUARDED_BY(mu);
  // All that waited is written, and the thread has ended.
  absl::Notification ended;
};

// Never destroyed: a thread may be at it when the process ends.
Writer& TheWriter() {
  static Writer& writer = *new Writer();
  return writer;
}

}  // namespace

void SetUpLog(LogFormat format, const std::string& level) {
  Writer& writer = TheWriter();
  // Whoever is logging holds it, too, so that the last to let go may be anyone.
  std::shared_ptr<spdlog::details::thread_pool> thread(
      new spdlog::details::thread_pool(kMaxWaitingLines, 1),
      [&writer](spdlog::details::thread_pool* pool) {
        delete pool;
        writer.ended.Notify();
      });
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink->set_formatter(MakeLogFormatter(format));
  auto logger = std::make_shared<spdlog::async_logger>(
      "ddgan", std::move(sink), thread,
      spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
  absl::MutexLock lock(&writer.mu);
  writer.thread = std::move(thread);
}

bool EndLog(absl::Duration limit) {
  Writer& writer = TheWriter();
  std::shared_ptr<spdlog::details::thread_pool> thread;
  {
    absl::MutexLock lock(&writer.mu);
    thread.swap(writer.thread);
  }
  if (thread == nullptr) return true;
  // A logger without its thread would complain to stderr.
  spdlog::set_level(spdlog::level::off);
  return EndsWithin(limit, [&writer, thread = std::move(thread)]() mutable {
    thread.reset();
    writer.ended.WaitForNotification();
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
