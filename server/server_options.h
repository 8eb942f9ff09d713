// Every option of ddgan-server: default, unit, range and help.
#ifndef DDGAN_SERVER_SERVER_OPTIONS_H_
#define DDGAN_SERVER_SERVER_OPTIONS_H_

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/engine.h"
#include "engine/base/listen_address.h"
#include "engine/base/program_options.h"
#include "server/access/listener_security.h"
#include "server/connections/grpc_limits.h"
#include "server/telemetry/access_log.h"
#include "server/telemetry/log_format.h"
#include "server/telemetry/trace_export.h"

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
  // What the images that are kept may take (calls/image_cache.h); 0 keeps none.
  int64_t image_cache_bytes = 0;
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
  TraceOptions traces;
};

struct ServerCommandLine {
  // Of --help or --version: print it and end. If empty, `options` is complete
  // and in range.
  std::string text;
  ServerOptions options;
};

// `arguments` without the program's name; program_options.h says how they, the
// environment (DDGAN_SERVER_...) and a file are read. InvalidArgument names the
// flag, the value, the range and where the value is from.
absl::StatusOr<ServerCommandLine> ParseServerCommandLine(
    absl::Span<const std::string> arguments,
    const Environment& environment = OwnEnvironment());

}  // namespace ddgan

#endif  // DDGAN_SERVER_SERVER_OPTIONS_H_
