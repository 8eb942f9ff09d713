#include "server/server_options.h"

#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "engine/base/option_table.h"

namespace ddgan {
namespace {

constexpr char kModels[] = "Models";
constexpr char kAddresses[] = "Addresses";
constexpr char kSecurity[] = "TLS and tokens";
constexpr char kConnections[] = "Connections and calls";
constexpr char kLanes[] = "Devices and batches";
constexpr char kQueue[] = "Queue and encoding";
constexpr char kTraces[] = "Traces";
constexpr char kProcess[] = "Start, stop and logs";

constexpr double kMaxConnections = 1'000'000;
constexpr double kMaxMebibytes = 1 << 20;
constexpr absl::Duration kShortest = absl::Milliseconds(100);
constexpr absl::Duration kLongestConnection = absl::Hours(500);

constexpr char kAbout[] =
    "Turns gRPC Generate calls into images. The newest sound version of each\n"
    "model is served, and newer ones as they come.\n";

constexpr char kNotes[] =
    "SIGTERM, SIGINT or SIGHUP: after --drain_delay stops accepting, finishes\n"
    "accepted work, exits with 0; a second signal ends it at once. Exit "
    "codes:\n"
    "1 could not serve, 2 wrong usage.\n"
    "\n"
    "Example:\n"
    "  ddgan-server --model_root=deploy/models --listen=127.0.0.1:50051\n"
    "  ddgan generate --model=mnist --count=64 --seed=7 --grid "
    "--out=digits.png\n";

TextReader ReadAddress(std::function<ListenAddress&()> target) {
  return [target = std::move(target)](absl::string_view text) {
    absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    if (!address.ok()) {
      return absl::InvalidArgumentError(
          "must be host:port with a port in [0, 65535], an IPv6 host in "
          "brackets, as in [::1]:50051");
    }
    target() = *std::move(address);
    return absl::OkStatus();
  };
}

// Adds to the weights that are there.
absl::Status ReadCallerWeights(absl::string_view text, EngineOptions* options) {
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    const size_t separator = item.rfind('=');
    double weight = 0;
    if (separator == absl::string_view::npos || separator == 0 ||
        !absl::SimpleAtod(item.substr(separator + 1), &weight) ||
        !IsCallerWeight(weight)) {
      return absl::InvalidArgumentError(
          "must be a list of CALLER=WEIGHT with weights in [0.001, 1000]");
    }
    options->caller_weights[std::string(item.substr(0, separator))] = weight;
  }
  return absl::OkStatus();
}

std::vector<Option> ModelRows(EngineOptions* engine) {
  return {
      {"model_root", kModels, "DIR", &engine->model_root, kNotEmpty,
       "folder of models, DIR/<model>/<version>/", kRequired},
      {"poll_interval", kModels, "", &engine->poll_interval,
       Between(absl::Milliseconds(10), absl::Hours(1)),
       "how often the model folder is looked through where the file system "
       "does not report changes by itself"},
      {"keep_versions", kModels, "", &engine->keep_versions, Between(1, 64),
       "versions of a model that stay loaded: the live one and those that were "
       "live before it, for requests that name them and for a rollback that "
       "takes no time"},
      {"max_model_mib", kModels, "MiB", Bytes{&engine->max_model_bytes, 20},
       Between(0, kMaxMebibytes),
       "what the weights of all loaded versions may take in host memory; a "
       "version for which there is no room waits. 0: half of what the process "
       "may use"},
      {"state_dir", kModels, "DIR", &engine->state_dir, kNotEmpty,
       "folder in which pins outlive the server",
       "none: a server that is started again has no pin"},
      {"canary_max_mean_shift", kModels, "",
       &engine->canary_bounds.max_mean_shift, Between(0, 2),
       "a new version is refused if, in the images of its trial, the mean of a "
       "colour channel is further than this from the live version's; pixels "
       "are in [-1, 1], and 2 allows any"},
      {"canary_max_deviation_ratio", kModels, "",
       &engine->canary_bounds.max_deviation_ratio, AtLeast(1),
       "the same for the standard deviation of a channel, as a factor either "
       "way; inf allows any"},
  };
}

std::vector<Option> ListenerRows(ServerOptions* options) {
  SecurityOptions* const security = &options->security;
  return {
      {"listen", kAddresses, "HOST:PORT",
       ReadAddress([options]() -> ListenAddress& { return options->listen; }),
       kAny,
       "where gRPC is served; port 0 lets the system choose. Without "
       "--tls_client_ca or --token_file 0.0.0.0:50051 serves everyone who can "
       "reach it",
       ToString(options->listen)},
      {"http", kAddresses, "HOST:PORT",
       ReadAddress([options]() -> ListenAddress& { return options->http; }),
       kAny,
       "where /metrics, /livez and /readyz are served; port 0 lets the system "
       "choose",
       ToString(options->http)},
      {"admin_listen", kAddresses, "HOST:PORT",
       ReadAddress([options]() -> ListenAddress& {
         return options->admin_listen.emplace();
       }),
       kAny,
       "a second gRPC port for operators, whose calls never wait behind a "
       "caller's: health, reflection and ModelService, of which --listen then "
       "serves only what changes nothing. Port 0 lets the system choose",
       "none: --listen serves all"},

      {"tls_cert", kSecurity, "FILE", &security->tls_cert, kNotEmpty,
       "PEM file with the server's certificate, then its chain. gRPC is served "
       "with TLS 1.2 or 1.3, and with it alone. Read again when it changes. "
       "Needs --tls_key",
       "none: no TLS"},
      {"tls_key", kSecurity, "FILE", &security->tls_key, kNotEmpty,
       "PEM file with the certificate's key, not encrypted"},
      {"tls_client_ca", kSecurity, "FILE", &security->tls_client_ca, kNotEmpty,
       "PEM file with authorities: whoever calls must have a certificate that "
       "one of them has signed",
       "none: no client needs a certificate"},
      {"token_file", kSecurity, "FILE", &security->token_file, kNotEmpty,
       "JSON file with the SHA-256 of each token, whose it is, its scopes and "
       "quotas. Every call but health then needs a token. Read again when it "
       "changes. Without TLS on the loopback alone",
       "none: every call is admitted"},
      {"tokens_without_tls", kSecurity, "", &security->tokens_without_tls, kAny,
       "take tokens in the clear on any address: TLS ends at a proxy"},
  };
}

std::vector<Option> LimitRows(GrpcLimits* limits) {
  return {
      {"max_connections", kConnections, "", &limits->connections.total,
       Between(1, kMaxConnections),
       "connections to the gRPC port at a time; one more is closed at once. "
       "Lowered to what the limit of file descriptors allows, two for each"},
      {"max_connections_per_peer", kConnections, "",
       &limits->connections.per_peer, Between(1, kMaxConnections),
       "the same of one address, or of one IPv6 network /64. A proxy is one "
       "peer"},
      {"max_streams_per_connection", kConnections, "",
       &limits->max_streams_per_connection, Between(1, 100'000),
       "calls of one connection at a time; clients queue more themselves"},
      {"max_request_kib", kConnections, "KiB",
       Bytes{&limits->max_request_bytes, 10},
       Between(1, GrpcLimits::kLargestRequestBytes >> 10),
       "largest request; a larger one gets RESOURCE_EXHAUSTED. By default the "
       "largest guide fits"},
      {"max_metadata_kib", kConnections, "KiB",
       Bytes{&limits->max_metadata_bytes, 10}, Between(1, 1024),
       "metadata of one call; more gets RESOURCE_EXHAUSTED"},
      {"max_receive_mib", kConnections, "MiB",
       Bytes{&limits->max_receive_bytes, 20}, Between(16, kMaxMebibytes),
       "what incoming data of all connections should take at most. Above it "
       "gRPC resets calls: no bound, since it takes their bytes first"},
      {"max_arriving_requests", kConnections, "", &limits->requests.arriving,
       Between(1, 100'000),
       "requests that are being received at a time, each of up to "
       "--max_request_kib. Others wait, 16 times as many, with up to 64 KiB "
       "each; more get UNAVAILABLE. One address takes half of what is "
       "left"},
      {"request_timeout", kConnections, "", &limits->requests.timeout,
       Between(kShortest, absl::Hours(1)),
       "a request that has not come in whole within this ends with "
       "DEADLINE_EXCEEDED"},
      {"max_reply_mib", kConnections, "MiB", Bytes{&limits->replies.total, 20},
       Between(1, kMaxMebibytes),
       "what requests that are being answered, and their replies until they "
       "are read, may take. A call books the most that it can need; without "
       "room it gets RESOURCE_EXHAUSTED"},
      {"max_reply_mib_per_caller", kConnections, "MiB",
       Bytes{&limits->replies.per_caller, 20}, Between(1, kMaxMebibytes),
       "the same of one caller: an authenticated name, else a peer as in "
       "--max_connections_per_peer"},
      {"write_timeout", kConnections, "", &limits->write_timeout,
       Between(kShortest, absl::Hours(1)),
       "a reply, or a message of a stream, that its caller has not read within "
       "this ends the call with DEADLINE_EXCEEDED; a connection that takes no "
       "bytes is cut"},
      {"handshake_timeout", kConnections, "", &limits->handshake_timeout,
       Between(kShortest, absl::Minutes(10)),
       "a connection that has not begun to speak HTTP/2, TLS included, within "
       "this is closed"},
      {"keepalive_time", kConnections, "", &limits->keepalive_time,
       Between(kShortest, absl::Hours(1)),
       "a connection that was silent for this is asked whether its peer is "
       "still there"},
      {"keepalive_timeout", kConnections, "", &limits->keepalive_timeout,
       Between(kShortest, absl::Hours(1)),
       "how long the answer to that may take before the connection is closed"},
      {"min_ping_interval", kConnections, "", &limits->min_ping_interval,
       Between(absl::ZeroDuration(), absl::Hours(1)),
       "clients that ask the same more often, and get no data meanwhile, are "
       "sent away (too_many_pings)"},
      {"max_connection_idle", kConnections, "", &limits->max_connection_idle,
       Between(kShortest, kLongestConnection),
       "a connection without a call for this is closed; gRPC clients connect "
       "again by themselves"},
      {"max_connection_age", kConnections, "", &limits->max_connection_age,
       Between(kShortest, kLongestConnection),
       "a connection takes no new calls after this, give or take 10%, so that "
       "clients spread over new servers"},
      {"max_connection_age_grace", kConnections, "",
       &limits->max_connection_age_grace,
       Between(kShortest, kLongestConnection),
       "how long its calls, watches among them, may go on from then"},
  };
}

std::vector<Option> LaneRows(EngineOptions* engine) {
  return {
      {"devices", kLanes, "LIST", &engine->devices, kNotEmpty,
       "the lanes that make images side by side: cpu; cpu:N for N lanes that "
       "split the CPU threads; in a CUDA build cuda:0,cuda:1,...; auto for "
       "every GPU there is, else the CPU"},
      {"cpu_threads", kLanes, "", &engine->cpu_threads, Between(0, 256),
       "CPU threads of all CPU lanes together; 0: one for each CPU that the "
       "process may use, a container's quota of CPU time rounded up"},
      {"cpu_affinity", kLanes, "", &engine->cpu_affinity, kAny,
       "binds each of these threads to a CPU of its own, lane by lane, in the "
       "order of the CPUs that the process may use: for a machine, or CPUs, "
       "that nobody else uses"},
      {"max_batch_size", kLanes, "", &engine->max_batch_sizes, Between(1, 256),
       "most images in one generator call, for every lane or one for each",
       absl::StrCat(EngineOptions::kDefaultCudaBatch, " on a GPU; on the CPU, ",
                    "where larger batches are no faster, ",
                    EngineOptions::kDefaultRowsPerCpuThread,
                    " for each thread")},
      {"max_batch_wait", kLanes, "", &engine->max_batch_waits,
       Between(absl::ZeroDuration(), absl::Seconds(1)),
       "how long the oldest waiting image may be held back for a fuller batch, "
       "for every lane or one for each",
       "0s: an idle device starts at once"},
      {"precision", kLanes, "",
       OneOf(&engine->precision, {{"float32", Precision::kFloat32},
                                  {"tf32", Precision::kTf32},
                                  {"bfloat16", Precision::kBfloat16}}),
       kAny,
       "number format of lanes on GPUs. Part of what an image's bytes depend "
       "on"},
      {"pinned_batch", kLanes, "", &engine->pinned_batch, Between(1, 256),
       "the batch shape that decides an image's bytes on a GPU. Other shapes "
       "(1, 4, 16, ...) run where a check at load finds their bytes equal to "
       "it. It takes that many rows' memory: less for large images on a small "
       "GPU"},
      {"warmup", kLanes, "",
       OneOf(&engine->warm_up_every_bucket, {{"all", true}, {"ends", false}}),
       kAny,
       "what every lane runs before a version serves: a batch of every size 1, "
       "2, 4, ..., or only of the smallest and the largest"},
  };
}

std::vector<Option> QueueRows(ServerOptions* options) {
  EngineOptions* const engine = &options->engine;
  return {
      {"caller_weights", kQueue, "CALLER=W,...",
       [engine](absl::string_view text) {
         return ReadCallerWeights(text, engine);
       },
       kAny,
       "shares of callers while there is more work than the devices can do. A "
       "caller is its authenticated name, else its ddgan-client-id metadata, "
       "else its address",
       "1 for whoever is not named"},
      {"max_queued_images", kQueue, "", &engine->max_queued_images,
       Between(64, 1'000'000),
       "images accepted and not finished; a call that would exceed it gets "
       "RESOURCE_EXHAUSTED. As many again may wait to be encoded"},
      {"max_queued_mib", kQueue, "MiB", Bytes{&engine->max_queued_bytes, 20},
       Between(64, kMaxMebibytes), "the same in memory"},
      {"encode_threads", kQueue, "", &options->encode_threads, Between(1, 256),
       "CPU threads that encode PNG"},
      {"image_cache_mib", kQueue, "MiB", Bytes{&options->image_cache_bytes, 20},
       Between(0, kMaxMebibytes),
       "memory for images as they were sent: what is asked for again (same "
       "version, seed, index, format and guide) is not made again, and what "
       "several calls ask for at the same time is made once. Quotas and the "
       "queue count it as if it were made. 0 keeps none, since it pays only "
       "where seeds come again: a call without a seed never does"},
  };
}

std::vector<Option> TraceRows(TraceOptions* traces) {
  return {
      {"otlp_endpoint", kTraces, "HOST:PORT",
       ReadAddress(
           [traces]() -> ListenAddress& { return traces->endpoint.emplace(); }),
       kAny,
       "the collector that gets the spans of traced calls, by OTLP over gRPC. "
       "One that is not there holds up nothing; lost spans are counted",
       "none: no call is traced"},
      {"trace_ratio", kTraces, "", &traces->ratio, Between(0, 1),
       "of the calls that bring no traceparent, so many are traced; of the "
       "others, those whose traceparent says so"},
      {"otlp_tls_ca", kTraces, "FILE", &traces->tls_ca, kNotEmpty,
       "PEM file with authorities of which one has signed the collector's "
       "certificate; read at start",
       "none: no TLS"},
  };
}

std::vector<Option> ProcessRows(ServerOptions* options) {
  return {
      {"drain_delay", kProcess, "", &options->drain_delay,
       Between(absl::ZeroDuration(), absl::Minutes(10)),
       "after SIGTERM, how long calls are still taken while /readyz and health "
       "already say no: the time that whoever sends calls needs to notice. 10s "
       "is right on Kubernetes"},
      {"drain_timeout", kProcess, "", &options->drain_timeout,
       Between(absl::ZeroDuration(), absl::Hours(1)),
       "after that, how long accepted work may take to finish; what is left "
       "then fails with UNAVAILABLE"},
      {"port_file", kProcess, "FILE", &options->port_file, kNotEmpty,
       "write the actual ports as JSON, {\"grpc_port\": N, \"http_port\": N}, "
       "and \"admin_port\" if there is one, once the server serves. The file "
       "appears whole or not at all; one from an earlier run is removed at "
       "start",
       "none"},
      {"log_level", kProcess, "",
       OneOf(&options->log_level, {"debug", "info", "warn", "error"}), kAny,
       "what is logged, to stderr"},
      {"log_format", kProcess, "",
       OneOf(&options->log_format,
             {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}),
       kAny, "json: every line is a JSON object"},
      {"access_log", kProcess, "",
       OneOf(&options->access_log, {{"none", AccessLogLevel::kNone},
                                    {"errors", AccessLogLevel::kErrors},
                                    {"all", AccessLogLevel::kAll}}),
       kAny,
       "which calls get a line in the log when they have ended, whatever the "
       "--log_level: none, those that did not end with OK, or all"},
  };
}

}  // namespace

absl::StatusOr<ServerCommandLine> ParseServerCommandLine(
    absl::Span<const std::string> arguments, const Environment& environment) {
  ServerCommandLine command;
  ServerOptions* const options = &command.options;
  std::vector<Option> table;
  for (std::vector<Option>& rows : std::vector<std::vector<Option>>{
           ModelRows(&options->engine), ListenerRows(options),
           LimitRows(&options->limits), LaneRows(&options->engine),
           QueueRows(options), TraceRows(&options->traces),
           ProcessRows(options)}) {
    std::move(rows.begin(), rows.end(), std::back_inserter(table));
  }
  const absl::StatusOr<ProgramOptions> parsed =
      ParseOptions({.name = "ddgan-server",
                    .environment = "DDGAN_SERVER_",
                    .usage = {"--model_root=DIR [flags]"},
                    .about = kAbout,
                    .notes = kNotes,
                    .summary = "turn gRPC Generate calls into images"},
                   table, arguments, environment);
  if (!parsed.ok()) return parsed.status();
  command.text = parsed->text;
  if (!command.text.empty()) return command;
  std::vector<ListenAddress> listeners = {options->listen};
  if (options->admin_listen.has_value()) {
    listeners.push_back(*options->admin_listen);
  }
  const std::pair<const char*, std::optional<ListenAddress>> ports[] = {
      {"listen", options->listen},
      {"http", options->http},
      {"admin_listen", options->admin_listen}};
  for (const auto& a : ports) {
    for (const auto& b : ports) {
      if (&a < &b && a.second.has_value() && a.second == b.second &&
          a.second->port != 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", a.first, " and --", b.first, " are both ",
                         ToString(*a.second), ", must be different"));
      }
    }
  }
  if (absl::Status status = CheckSecurity(options->security, listeners);
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckTraceOptions(options->traces); !status.ok()) {
    return status;
  }
  return command;
}

}  // namespace ddgan
