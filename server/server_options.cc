#include "server/server_options.h"

#include <cstddef>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace ddgan {
namespace {

// Takes a flag's value as written; returns what is wrong with it, without the
// flag's name.
using Setter = std::function<absl::Status(absl::string_view, ServerOptions*)>;

struct Flag {
  absl::string_view name;
  absl::string_view value_name;
  std::string help;
  Setter set;
};

absl::Status OutOfRange(absl::string_view value, absl::string_view range) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", value, "' is not ", range));
}

absl::StatusOr<int> ToInt(absl::string_view text, int min, int max) {
  int value;
  if (!absl::SimpleAtoi(text, &value) || value < min || value > max) {
    return OutOfRange(text,
                      absl::StrCat("a whole number in [", min, ", ", max, "]"));
  }
  return value;
}

Setter SetInt(std::function<int*(ServerOptions*)> field, int min, int max) {
  return [field = std::move(field), min, max](absl::string_view text,
                                              ServerOptions* options) {
    const absl::StatusOr<int> value = ToInt(text, min, max);
    if (!value.ok()) return value.status();
    *field(options) = *value;
    return absl::OkStatus();
  };
}

Setter SetBool(std::function<bool*(ServerOptions*)> field) {
  return [field = std::move(field)](absl::string_view text,
                                    ServerOptions* options) {
    if (text != "true" && text != "false") {
      return OutOfRange(text, "one of true, false");
    }
    *field(options) = text == "true";
    return absl::OkStatus();
  };
}

Setter SetNumber(std::function<double*(ServerOptions*)> field, double min,
                 double max) {
  return [field = std::move(field), min, max](absl::string_view text,
                                              ServerOptions* options) {
    double value;
    // Not a number is in no range.
    if (!absl::SimpleAtod(text, &value) || !(value >= min && value <= max)) {
      return OutOfRange(text,
                        absl::StrCat("a number in [", min, ", ", max, "]"));
    }
    *field(options) = value;
    return absl::OkStatus();
  };
}

absl::StatusOr<absl::Duration> ToDuration(absl::string_view text,
                                          absl::Duration min,
                                          absl::Duration max) {
  absl::Duration value;
  if (!absl::ParseDuration(text, &value) || value < min || value > max) {
    return OutOfRange(
        text,
        absl::StrCat(
            "a time in [",
            min == absl::ZeroDuration() ? "0s" : absl::FormatDuration(min),
            ", ", absl::FormatDuration(max), "], such as 500ms or 10s"));
  }
  return value;
}

Setter SetDuration(std::function<absl::Duration*(ServerOptions*)> field,
                   absl::Duration min, absl::Duration max) {
  return [field = std::move(field), min, max](absl::string_view text,
                                              ServerOptions* options) {
    const absl::StatusOr<absl::Duration> value = ToDuration(text, min, max);
    if (!value.ok()) return value.status();
    *field(options) = *value;
    return absl::OkStatus();
  };
}

// One number, or one for each lane.
absl::Status SetBatchSizes(absl::string_view text, ServerOptions* options) {
  options->engine.max_batch_sizes.clear();
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    const absl::StatusOr<int> value = ToInt(item, 1, 256);
    if (!value.ok()) return value.status();
    options->engine.max_batch_sizes.push_back(*value);
  }
  return absl::OkStatus();
}

absl::Status SetBatchWaits(absl::string_view text, ServerOptions* options) {
  options->engine.max_batch_waits.clear();
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    const absl::StatusOr<absl::Duration> value =
        ToDuration(item, absl::ZeroDuration(), absl::Seconds(1));
    if (!value.ok()) return value.status();
    options->engine.max_batch_waits.push_back(*value);
  }
  return absl::OkStatus();
}

absl::Status SetPrecision(absl::string_view text, ServerOptions* options) {
  if (text == "float32") {
    options->engine.precision = Precision::kFloat32;
  } else if (text == "tf32") {
    options->engine.precision = Precision::kTf32;
  } else if (text == "bfloat16") {
    options->engine.precision = Precision::kBfloat16;
  } else {
    return OutOfRange(text, "one of float32, tf32, bfloat16");
  }
  return absl::OkStatus();
}

absl::Status SetCallerWeights(absl::string_view text, ServerOptions* options) {
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    const size_t separator = item.rfind('=');
    double weight = 0;
    if (separator == absl::string_view::npos || separator == 0 ||
        !absl::SimpleAtod(item.substr(separator + 1), &weight) ||
        !(weight > 0 && weight <= 1000)) {
      return OutOfRange(item, "CALLER=WEIGHT with a weight in (0, 1000]");
    }
    options->engine.caller_weights[std::string(item.substr(0, separator))] =
        weight;
  }
  return absl::OkStatus();
}

absl::Status SetWarmUp(absl::string_view text, ServerOptions* options) {
  if (text != "all" && text != "ends") {
    return OutOfRange(text, "one of all, ends");
  }
  options->engine.warm_up_every_bucket = text == "all";
  return absl::OkStatus();
}

// A number of units, each of 2^`shift` bytes.
Setter SetBytes(std::function<int64_t*(ServerOptions*)> bytes, int shift,
                int min, int max) {
  return [bytes = std::move(bytes), shift, min, max](absl::string_view text,
                                                     ServerOptions* options) {
    const absl::StatusOr<int> units = ToInt(text, min, max);
    if (!units.ok()) return units.status();
    *bytes(options) = int64_t{*units} << shift;
    return absl::OkStatus();
  };
}

// In MiB, up to 1 TiB.
Setter SetMebibytes(std::function<int64_t*(ServerOptions*)> bytes, int min) {
  return SetBytes(std::move(bytes), 20, min, 1 << 20);
}

Setter SetAddress(std::function<ListenAddress*(ServerOptions*)> field) {
  return [field = std::move(field)](absl::string_view text,
                                    ServerOptions* options) {
    absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    if (!address.ok()) return address.status();
    *field(options) = *std::move(address);
    return absl::OkStatus();
  };
}

Setter SetText(std::function<std::string*(ServerOptions*)> field) {
  return [field = std::move(field)](absl::string_view text,
                                    ServerOptions* options) {
    if (text.empty()) return absl::InvalidArgumentError("the value is empty");
    *field(options) = std::string(text);
    return absl::OkStatus();
  };
}

absl::Status SetLogLevel(absl::string_view text, ServerOptions* options) {
  for (absl::string_view level : {"debug", "info", "warn", "error"}) {
    if (text == level) {
      options->log_level = std::string(level);
      return absl::OkStatus();
    }
  }
  return OutOfRange(text, "one of debug, info, warn, error");
}

absl::Status SetLogFormat(absl::string_view text, ServerOptions* options) {
  if (text == "text") {
    options->log_format = LogFormat::kText;
  } else if (text == "json") {
    options->log_format = LogFormat::kJson;
  } else {
    return OutOfRange(text, "one of text, json");
  }
  return absl::OkStatus();
}

absl::Status SetAccessLog(absl::string_view text, ServerOptions* options) {
  if (text == "none") {
    options->access_log = AccessLogLevel::kNone;
  } else if (text == "errors") {
    options->access_log = AccessLogLevel::kErrors;
  } else if (text == "all") {
    options->access_log = AccessLogLevel::kAll;
  } else {
    return OutOfRange(text, "one of none, errors, all");
  }
  return absl::OkStatus();
}

std::vector<Flag> BuildFlags() {
  const ServerOptions defaults;
  return {
      {"model_root", "DIR",
       "Folder of models, DIR/<model>/<version>/. Required. The newest\n"
       "sound version of each model is served, and newer ones as they come.",
       SetText([](ServerOptions* o) { return &o->engine.model_root; })},
      {"poll_interval", "TIME",
       absl::StrCat(
           "How often the model folder is looked through, 10ms to 1h, where\n"
           "the file system does not report changes by itself. Default ",
           absl::FormatDuration(defaults.engine.poll_interval), "."),
       SetDuration([](ServerOptions* o) { return &o->engine.poll_interval; },
                   absl::Milliseconds(10), absl::Hours(1))},
      {"keep_versions", "N",
       absl::StrCat(
           "Versions of a model that stay loaded, 1 to 64: the live one and\n"
           "those that were live before it, for requests that name them and\n"
           "for a rollback that takes no time. Default ",
           defaults.engine.keep_versions, "."),
       SetInt([](ServerOptions* o) { return &o->engine.keep_versions; }, 1,
              64)},
      {"max_model_mib", "N",
       "What the weights of all loaded versions may take in host memory, in\n"
       "MiB, 0 to 1048576; a version for which there is no room waits. 0\n"
       "means half of what the process may use. Default 0.",
       SetMebibytes([](ServerOptions* o) { return &o->engine.max_model_bytes; },
                    0)},
      {"state_dir", "DIR",
       "Folder in which pins outlive the server. Default: none; a server\n"
       "that is started again has no pin.",
       SetText([](ServerOptions* o) { return &o->engine.state_dir; })},
      {"canary_max_mean_shift", "X",
       absl::StrCat(
           "A new version is refused if, in the images that it is tried out\n"
           "with, the mean of a colour channel is further than this from the\n"
           "live version's; pixels are in [-1, 1]. 0 to 2; 2 allows any.\n"
           "Default ",
           defaults.engine.canary_bounds.max_mean_shift, "."),
       SetNumber(
           [](ServerOptions* o) {
             return &o->engine.canary_bounds.max_mean_shift;
           },
           0, 2)},
      {"canary_max_deviation_ratio", "X",
       absl::StrCat(
           "The same for the standard deviation of a channel, as a factor\n"
           "either way, 1 or more; inf allows any. Default ",
           defaults.engine.canary_bounds.max_deviation_ratio, "."),
       SetNumber(
           [](ServerOptions* o) {
             return &o->engine.canary_bounds.max_deviation_ratio;
           },
           1, std::numeric_limits<double>::infinity())},
      {"listen", "HOST:PORT",
       absl::StrCat(
           "Where gRPC is served; port 0 lets the system choose. Without\n"
           "--tls_client_ca or --token_file 0.0.0.0:50051 serves everyone\n"
           "who can reach it. Default ",
           ToString(defaults.listen), "."),
       SetAddress([](ServerOptions* o) { return &o->listen; })},
      {"http", "HOST:PORT",
       absl::StrCat("Where /metrics, /livez and /readyz are served; port 0 "
                    "lets the\nsystem choose. Default ",
                    ToString(defaults.http), "."),
       SetAddress([](ServerOptions* o) { return &o->http; })},
      {"admin_listen", "HOST:PORT",
       "A second gRPC port for operators, whose calls never wait behind a\n"
       "caller's: health, reflection and ModelService, of which --listen\n"
       "then serves only what changes nothing. Port 0 lets the system\n"
       "choose. Default: none; --listen serves all.",
       SetAddress([](ServerOptions* o) { return &o->admin_listen.emplace(); })},
      {"tls_cert", "FILE",
       "PEM file with the server's certificate, then its chain. gRPC is\n"
       "served with TLS 1.2 or 1.3, and with it alone. Read again when it\n"
       "changes. Needs --tls_key. Default: none; no TLS.",
       SetText([](ServerOptions* o) { return &o->security.tls_cert; })},
      {"tls_key", "FILE", "PEM file with the certificate's key, not encrypted.",
       SetText([](ServerOptions* o) { return &o->security.tls_key; })},
      {"tls_client_ca", "FILE",
       "PEM file with authorities: whoever calls must have a certificate\n"
       "that one of them has signed. Default: none; no client needs one.",
       SetText([](ServerOptions* o) { return &o->security.tls_client_ca; })},
      {"token_file", "FILE",
       "JSON file with the SHA-256 of each token, whose it is, its scopes\n"
       "and quotas. Every call but health then needs a token. Read again\n"
       "when it changes. Without TLS on the loopback alone. Default: none;\n"
       "every call is admitted.",
       SetText([](ServerOptions* o) { return &o->security.token_file; })},
      {"tokens_without_tls", "true|false",
       "Takes tokens in the clear on any address: TLS ends at a proxy.\n"
       "Default false.",
       SetBool(
           [](ServerOptions* o) { return &o->security.tokens_without_tls; })},
      {"max_connections", "N",
       absl::StrCat(
           "Connections to the gRPC port at a time, 1 to 1000000; one more is\n"
           "closed at once. Lowered to what the limit of file descriptors\n"
           "allows, two for each. Default ",
           defaults.limits.connections.total, "."),
       SetInt([](ServerOptions* o) { return &o->limits.connections.total; }, 1,
              1000000)},
      {"max_connections_per_peer", "N",
       absl::StrCat(
           "The same of one address, or of one IPv6 network /64. A proxy is\n"
           "one peer. Default ",
           defaults.limits.connections.per_peer, "."),
       SetInt([](ServerOptions* o) { return &o->limits.connections.per_peer; },
              1, 1000000)},
      {"max_streams_per_connection", "N",
       absl::StrCat("Calls of one connection at a time, 1 to 100000; clients "
                    "queue more\nthemselves. Default ",
                    defaults.limits.max_streams_per_connection, "."),
       SetInt(
           [](ServerOptions* o) {
             return &o->limits.max_streams_per_connection;
           },
           1, 100000)},
      {"max_request_kib", "N",
       absl::StrCat("Largest request, in KiB, 1 to ",
                    GrpcLimits::kLargestRequestBytes >> 10,
                    "; a larger one gets\nRESOURCE_EXHAUSTED. Default ",
                    defaults.limits.max_request_bytes >> 10,
                    ": the largest guide fits."),
       SetBytes([](ServerOptions* o) { return &o->limits.max_request_bytes; },
                10, 1,
                static_cast<int>(GrpcLimits::kLargestRequestBytes >> 10))},
      {"max_metadata_kib", "N",
       absl::StrCat("Metadata of one call, in KiB, 1 to 1024; more gets\n"
                    "RESOURCE_EXHAUSTED. Default ",
                    defaults.limits.max_metadata_bytes >> 10, "."),
       SetBytes([](ServerOptions* o) { return &o->limits.max_metadata_bytes; },
                10, 1, 1024)},
      {"max_receive_mib", "N",
       absl::StrCat("What incoming data of all connections should take at "
                    "most, in MiB,\n"
                    "16 to 1048576. Above it gRPC resets calls: no bound, "
                    "since it takes\n"
                    "their bytes first.\n"
                    "Default ",
                    defaults.limits.max_receive_bytes >> 20, "."),
       SetMebibytes(
           [](ServerOptions* o) { return &o->limits.max_receive_bytes; }, 16)},
      {"max_reply_mib", "N",
       absl::StrCat(
           "What requests that are being answered, and their replies until\n"
           "they are read, may take, in MiB, 1 to 1048576. A call books the\n"
           "most that it can need; without room it gets RESOURCE_EXHAUSTED.\n"
           "Default ",
           defaults.limits.replies.total >> 20, "."),
       SetMebibytes([](ServerOptions* o) { return &o->limits.replies.total; },
                    1)},
      {"max_reply_mib_per_caller", "N",
       absl::StrCat(
           "The same of one caller: an authenticated name, else a peer as in\n"
           "--max_connections_per_peer. Default ",
           defaults.limits.replies.per_caller >> 20, "."),
       SetMebibytes(
           [](ServerOptions* o) { return &o->limits.replies.per_caller; }, 1)},
      {"write_timeout", "TIME",
       absl::StrCat(
           "A reply, or a message of a stream, that its caller has not read\n"
           "within this ends the call with DEADLINE_EXCEEDED; a connection\n"
           "that takes no bytes is cut. 100ms to 1h. Default ",
           absl::FormatDuration(defaults.limits.write_timeout), "."),
       SetDuration([](ServerOptions* o) { return &o->limits.write_timeout; },
                   absl::Milliseconds(100), absl::Hours(1))},
      {"handshake_timeout", "TIME",
       absl::StrCat(
           "A connection that has not begun to speak HTTP/2, TLS included,\n"
           "within this is closed. 100ms to 10m. Default ",
           absl::FormatDuration(defaults.limits.handshake_timeout), "."),
       SetDuration(
           [](ServerOptions* o) { return &o->limits.handshake_timeout; },
           absl::Milliseconds(100), absl::Minutes(10))},
      {"keepalive_time", "TIME",
       absl::StrCat(
           "A connection that was silent for this is asked whether its peer\n"
           "is still there. 100ms to 1h. Default ",
           absl::FormatDuration(defaults.limits.keepalive_time), "."),
       SetDuration([](ServerOptions* o) { return &o->limits.keepalive_time; },
                   absl::Milliseconds(100), absl::Hours(1))},
      {"keepalive_timeout", "TIME",
       absl::StrCat(
           "How long the answer to that may take before the connection is\n"
           "closed. 100ms to 1h. Default ",
           absl::FormatDuration(defaults.limits.keepalive_timeout), "."),
       SetDuration(
           [](ServerOptions* o) { return &o->limits.keepalive_timeout; },
           absl::Milliseconds(100), absl::Hours(1))},
      {"min_ping_interval", "TIME",
       absl::StrCat(
           "Clients that ask the same more often, and get no data meanwhile,\n"
           "are sent away (too_many_pings). 0s to 1h. Default ",
           absl::FormatDuration(defaults.limits.min_ping_interval), "."),
       SetDuration(
           [](ServerOptions* o) { return &o->limits.min_ping_interval; },
           absl::ZeroDuration(), absl::Hours(1))},
      {"max_connection_idle", "TIME",
       absl::StrCat(
           "A connection without a call for this is closed; gRPC clients\n"
           "connect again by themselves. 100ms to 500h. Default ",
           absl::FormatDuration(defaults.limits.max_connection_idle), "."),
       SetDuration(
           [](ServerOptions* o) { return &o->limits.max_connection_idle; },
           absl::Milliseconds(100), absl::Hours(500))},
      {"max_connection_age", "TIME",
       absl::StrCat(
           "A connection takes no new calls after this, give or take 10%, so\n"
           "that clients spread over new servers. 100ms to 500h. Default ",
           absl::FormatDuration(defaults.limits.max_connection_age), "."),
       SetDuration(
           [](ServerOptions* o) { return &o->limits.max_connection_age; },
           absl::Milliseconds(100), absl::Hours(500))},
      {"max_connection_age_grace", "TIME",
       absl::StrCat(
           "How long its calls, watches among them, may go on from then.\n"
           "100ms to 500h. Default ",
           absl::FormatDuration(defaults.limits.max_connection_age_grace), "."),
       SetDuration(
           [](ServerOptions* o) { return &o->limits.max_connection_age_grace; },
           absl::Milliseconds(100), absl::Hours(500))},
      {"devices", "LIST",
       absl::StrCat(
           "The lanes that make images side by side: cpu; cpu:N for N lanes\n"
           "that split the CPU threads; in a CUDA build cuda:0,cuda:1,...;\n"
           "auto for every GPU there is, else the CPU. Default ",
           defaults.engine.devices, "."),
       SetText([](ServerOptions* o) { return &o->engine.devices; })},
      {"cpu_threads", "N",
       "CPU threads of all CPU lanes together, 0 to 256; 0 means one per\n"
       "core. Default 0.",
       SetInt([](ServerOptions* o) { return &o->engine.cpu_threads; }, 0, 256)},
      {"max_batch_size", "N[,N...]",
       absl::StrCat(
           "Most images in one generator call, 1 to 256, for every lane or\n"
           "one for each. Default ",
           EngineOptions::kDefaultCudaBatch,
           " on a GPU; on the CPU, where larger\n"
           "batches are no faster, ",
           EngineOptions::kDefaultRowsPerCpuThread, " for each thread."),
       SetBatchSizes},
      {"max_batch_wait", "TIME[,TIME...]",
       "How long the oldest waiting image may be held back for a fuller\n"
       "batch, 0s to 1s, for every lane or one for each. Default 0s: an\n"
       "idle device starts at once.",
       SetBatchWaits},
      {"precision", "float32|tf32|bfloat16",
       "Number format of lanes on GPUs. Part of what an image's bytes\n"
       "depend on. Default float32.",
       SetPrecision},
      {"pinned_batch", "N",
       absl::StrCat(
           "The batch shape that decides an image's bytes on a GPU, 1 to 256.\n"
           "Other shapes (1, 4, 16, ...) run where a check at load finds\n"
           "their bytes equal to it. It takes that many rows' memory: less "
           "for\n"
           "large images on a small GPU. Default ",
           defaults.engine.pinned_batch, "."),
       SetInt([](ServerOptions* o) { return &o->engine.pinned_batch; }, 1,
              256)},
      {"caller_weights", "CALLER=W,...",
       "Shares of callers while there is more work than the devices can\n"
       "do. A caller is its authenticated name, else its ddgan-client-id\n"
       "metadata, else its address. Who is not named has 1.",
       SetCallerWeights},
      {"warmup", "all|ends",
       "What every lane runs before a version serves: a batch of every\n"
       "size 1, 2, 4, ..., or only of the smallest and the largest.\n"
       "Default all.",
       SetWarmUp},
      {"max_queued_images", "N",
       absl::StrCat(
           "Images accepted and not finished, 64 to 1000000; a call that\n"
           "would exceed it gets RESOURCE_EXHAUSTED. As many again may wait\n"
           "to be encoded. Default ",
           defaults.engine.max_queued_images, "."),
       SetInt([](ServerOptions* o) { return &o->engine.max_queued_images; }, 64,
              1000000)},
      {"max_queued_mib", "N",
       absl::StrCat("The same in MiB of memory, 64 to 1048576. Default ",
                    defaults.engine.max_queued_bytes >> 20, "."),
       SetMebibytes(
           [](ServerOptions* o) { return &o->engine.max_queued_bytes; }, 64)},
      {"encode_threads", "N",
       absl::StrCat("CPU threads that encode PNG, 1 to 256. Default ",
                    defaults.encode_threads, "."),
       SetInt([](ServerOptions* o) { return &o->encode_threads; }, 1, 256)},
      {"drain_delay", "TIME",
       "After SIGTERM, how long calls are still taken while /readyz and\n"
       "health already say no, 0s to 10m: the time that whoever sends calls\n"
       "needs to notice. 5s is right on Kubernetes. Default 0s.",
       SetDuration([](ServerOptions* o) { return &o->drain_delay; },
                   absl::ZeroDuration(), absl::Minutes(10))},
      {"drain_timeout", "TIME",
       absl::StrCat(
           "After that, how long accepted work may take to finish, 0s to 1h;\n"
           "what is left then fails with UNAVAILABLE. Default ",
           absl::FormatDuration(defaults.drain_timeout), "."),
       SetDuration([](ServerOptions* o) { return &o->drain_timeout; },
                   absl::ZeroDuration(), absl::Hours(1))},
      {"port_file", "FILE",
       "Writes the actual ports as JSON, {\"grpc_port\": N, \"http_port\": "
       "N},\n"
       "and \"admin_port\" if there is one, once the server serves. The file\n"
       "appears whole or not at all; one from an earlier run is removed at\n"
       "start. Default: none.",
       SetText([](ServerOptions* o) { return &o->port_file; })},
      {"log_level", "LEVEL",
       absl::StrCat("debug, info, warn or error; logs go to stderr. Default ",
                    defaults.log_level, "."),
       SetLogLevel},
      {"log_format", "text|json",
       "json: every line is a JSON object. Default text.", SetLogFormat},
      {"access_log", "none|errors|all",
       "Which calls get a line in the log when they have ended, whatever\n"
       "the --log_level: none, those that did not end with OK, or all.\n"
       "Default all.",
       SetAccessLog},
  };
}

const std::vector<Flag>& Flags() {
  static const std::vector<Flag>* const flags =
      new std::vector<Flag>(BuildFlags());
  return *flags;
}

const Flag* FindFlag(absl::string_view name) {
  for (const Flag& flag : Flags()) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(
    absl::Span<const std::string> arguments) {
  CommandLine command;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      command.action = CommandLine::Action::kPrintHelp;
      return command;
    }
    if (argument == "--version") {
      command.action = CommandLine::Action::kPrintVersion;
      return command;
    }
    const size_t equals = argument.find('=');
    const absl::string_view written = argument.substr(0, equals);
    const Flag* flag =
        absl::StartsWith(written, "--") ? FindFlag(written.substr(2)) : nullptr;
    if (flag == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown argument '", argument, "' (try --help)"));
    }
    absl::string_view value;
    if (equals != absl::string_view::npos) {
      value = argument.substr(equals + 1);
    } else if (++i < arguments.size()) {
      value = arguments[i];
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag->name, ": the value is missing"));
    }
    if (absl::Status status = flag->set(value, &command.options);
        !status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag->name, ": ", status.message()));
    }
  }
  if (command.options.engine.model_root.empty()) {
    return absl::InvalidArgumentError(
        "--model_root is required: the folder of models (try --help)");
  }
  std::vector<ListenAddress> listeners = {command.options.listen};
  if (command.options.admin_listen.has_value()) {
    listeners.push_back(*command.options.admin_listen);
  }
  if (absl::Status status = CheckSecurity(command.options.security, listeners);
      !status.ok()) {
    return status;
  }
  return command;
}

std::string HelpText() {
  std::string text =
      "ddgan-server: turns gRPC Generate calls into images.\n"
      "\n"
      "usage: ddgan-server --model_root=DIR [--flag=value ...]\n"
      "\n";
  for (const Flag& flag : Flags()) {
    absl::StrAppend(&text, "  --", flag.name, "=", flag.value_name, "\n");
    for (absl::string_view line : absl::StrSplit(flag.help, '\n')) {
      absl::StrAppend(&text, "      ", line, "\n");
    }
  }
  absl::StrAppend(
      &text,
      "  --version, --help\n"
      "\n"
      "SIGTERM or SIGINT: after --drain_delay stops accepting, finishes "
      "accepted\nwork, exits with 0; a second signal ends it at once. Exit "
      "codes: 1 could not\nserve, 2 bad usage.\n"
      "\n"
      "OMP_WAIT_POLICY in the environment decides how CPU threads wait for "
      "one\n"
      "another. Unset means PASSIVE, which is right on a machine that runs\n"
      "anything else; ACTIVE is faster on one that does not.\n"
      "\n"
      "Example:\n"
      "  ddgan-server --model_root=deploy/models --listen=127.0.0.1:50051\n"
      "  ddgan generate --count=64 --seed=7 --grid --out=digits.png\n");
  return text;
}

}  // namespace ddgan
