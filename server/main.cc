// ddgan-server: flags, start, wait for SIGTERM, drain.
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/base/listen_address.h"
#include "engine/base/process_signals.h"
#include "engine/base/standard_output.h"
#include "server/build_version.h"
#include "server/server.h"
#include "server/server_options.h"
#include "server/service_manager.h"
#include "server/telemetry/log_output.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

constexpr int kExitCannotServe = 1;
constexpr int kExitBadUsage = 2;

// Every connection costs two descriptors. More than this is of no use.
constexpr rlim_t kDescriptorsWanted = 1 << 20;

rlim_t RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t wanted = std::min(limit.rlim_max, kDescriptorsWanted);
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

void LogGrpcMessage(gpr_log_func_args* args) {
  spdlog::log(args->severity == GPR_LOG_SEVERITY_ERROR ? spdlog::level::warn
                                                       : spdlog::level::debug,
              "gRPC: {}", args->message);
}

// Ends the process at once, whatever other threads are doing.
[[noreturn]] void EndNow(int code) {
  EndLog();
  _exit(code);
}

// What Main returns.
int End(int code) {
  if (!EndLog()) _exit(code);
  return code;
}

// Turns SIGTERM, SIGINT and SIGHUP into a notification. Made before any other
// thread, since all of them must have the signals blocked for sigwait to get
// them.
class StopSignal {
 public:
  StopSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    // A shell's background job ignores SIGINT: it is for the job in front.
    if (!IsIgnored(SIGINT)) sigaddset(&signals_, SIGINT);
    // A terminal that is closed, unless nohup is to keep the server.
    if (!IsIgnored(SIGHUP)) sigaddset(&signals_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    // Never joined: it waits for a second signal until the process ends.
    std::thread([this] { Watch(); }).detach();
  }

  void Wait() const { arrived_.WaitForNotification(); }

  // Until then there is no work to finish, and a signal ends the process.
  void ServingHasBegun() { serving_.Notify(); }

 private:
  void Watch() {
    int signal = 0;
    sigwait(&signals_, &signal);
    if (!serving_.HasBeenNotified()) {
      spdlog::info("{} before serving: stopped", strsignal(signal));
      EndNow(0);
    }
    spdlog::info("{}: draining", strsignal(signal));
    arrived_.Notify();
    sigwait(&signals_, &signal);
    spdlog::warn("{} while draining: stopped with work unfinished",
                 strsignal(signal));
    EndNow(kExitCannotServe);
  }

  sigset_t signals_;
  absl::Notification serving_;
  absl::Notification arrived_;
};

void WarnIfNot(const absl::Status& status) {
  if (!status.ok()) spdlog::warn("{}", std::string(status.message()));
}

int Main(int argc, char** argv) {
  IgnoreBrokenPipes();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const absl::StatusOr<ServerCommandLine> command =
      ParseServerCommandLine(arguments);
  if (!command.ok()) {
    fprintf(stderr, "ddgan-server: %s\n",
            std::string(command.status().message()).c_str());
    return kExitBadUsage;
  }
  if (!command->text.empty()) {
    fputs(command->text.c_str(), stdout);
    return EndOfOutput("ddgan-server");
  }

  const char* const notify_socket = getenv("NOTIFY_SOCKET");
  const ServiceManager manager(notify_socket == nullptr ? "" : notify_socket);
  const ServerOptions& options = command->options;
  // Lives as long as its thread, which is as long as the process.
  static StopSignal& stop_signal = *new StopSignal();
  SetUpLog(options.log_format, options.log_level);
  gpr_set_log_function(LogGrpcMessage);
  const rlim_t descriptors = RaiseDescriptorLimit();
  spdlog::info("ddgan-server {}: models from {}, {} file descriptors",
               kBuildVersion, options.engine.model_root, descriptors);

  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(options, CreateEngine);
  if (!server.ok()) {
    spdlog::error("cannot serve: {}", std::string(server.status().message()));
    return End(kExitCannotServe);
  }
  stop_signal.ServingHasBegun();
  spdlog::info(
      "serving gRPC on {} and HTTP on {}",
      ToString({.host = options.listen.host, .port = (*server)->grpc_port()}),
      ToString({.host = options.http.host, .port = (*server)->http_port()}));
  if (options.admin_listen.has_value()) {
    spdlog::info("serving admin calls on {}",
                 ToString({.host = options.admin_listen->host,
                           .port = (*server)->admin_port()}));
  }

  WarnIfNot(manager.Ready(
      absl::StrCat("Serving gRPC on port ", (*server)->grpc_port())));

  stop_signal.Wait();
  WarnIfNot(manager.Stopping(
      Server::LongestStop(options.drain_timeout, options.drain_delay)));
  (*server)->Stop(options.drain_timeout, options.drain_delay);
  spdlog::info("stopped");
  return End(0);
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) { return ddgan::Main(argc, argv); }
