// Every flag of ddgan-server: default, unit, range check, and the help text.
#ifndef DDGAN_SERVER_SERVER_OPTIONS_H_
#define DDGAN_SERVER_SERVER_OPTIONS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/engine.h"
#include "engine/base/listen_address.h"
#include "server/access/listener_security.h"
#include "server/connections/grpc_limits.h"
#include "server/telemetry/access_log.h"
#include "server/telemetry/log_format.h"

namespace ddgan {

struct ServerOptions {
  EngineOptions engine;
  // Loopback by default: without `security` everybody who reaches it is served,
  // so serving a network is a decision.
  ListenAddress listen = {"127.0.0.1", 50051};
  ListenAddress http = {"127.0.0.1", 50052};
  // Where health, models and their changes are served apart from images; unset:
  // with them.
  std::optional<ListenAddress> admin_listen;
  GrpcLimits limits;
  SecurityOptions security;
  // CPU threads that encode PNG. [1, 256]
  int encode_threads = 2;
  // After SIGTERM: how long calls are still taken as before, [0 s, 10 min], and
  // then how long accepted work may take to finish, [0 s, 1 h].
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration drain_timeout = absl::Seconds(30);
  // Where to write the actual ports once serving; empty writes nothing.
  std::string port_file;
  // "debug", "info", "warn" or "error".
  std::string log_level = "info";
  LogFormat log_format = LogFormat::kText;
  AccessLogLevel access_log = AccessLogLevel::kAll;
};

struct CommandLine {
  enum class Action { kServe, kPrintHelp, kPrintVersion };
  Action action = Action::kServe;
  // Complete and in range if `action` is kServe.
  ServerOptions options;
};

// `arguments` without the program's name; a flag is --name=value or
// --name value. InvalidArgument names the flag, the value and the range.
absl::StatusOr<CommandLine> ParseCommandLine(
    absl::Span<const std::string> arguments);

// What --help prints.
std::string HelpText();

}  // namespace ddgan

#endif  // DDGAN_SERVER_SERVER_OPTIONS_H_
