#include "server/server.h"

#include <grpcpp/health_check_service_interface.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "engine/base/listen_address.h"
#include "engine/base/monotonic_clock.h"
#include "engine/imaging/png_decoder.h"
#include "inference/v2.grpc.pb.h"
#include "server/access/order_access.h"
#include "server/build_version.h"
#include "server/connections/connection_budget.h"
#include "server/connections/grpc_limits.h"
#include "server/port_file.h"
#include "server/shutdown_watchdog.h"
#include "server/telemetry/log_output.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

static_assert(GrpcLimits::kLargestRequestBytes ==
                  (64 << 10) + static_cast<int64_t>(PngLimits().max_bytes),
              "the largest guide is to fit into a request");

constexpr absl::Duration kHealthPollInterval = absl::Milliseconds(500);

// /livez: how long the gRPC port may take to answer.
constexpr absl::Duration kLivenessTimeout = absl::Seconds(2);

// Once the engine is drained, replies under way have this long to reach their
// callers before their connections are cut.
constexpr absl::Duration kFlushTimeout = absl::Seconds(2);

// Then gRPC cancels what is left. Connections that do not end by this much
// later are cut.
constexpr absl::Duration kCutDelay = absl::Milliseconds(500);

// One decodes the largest guides, of 2048x2048 pixels, at some 30 a second.
constexpr int kGuideThreads = 1;

// Operators and probes. Nobody who can reach the port takes it from the others.
constexpr ConnectionBudget::Limits kAdminConnections = {.total = 64,
                                                        .per_peer = 32};

// What the watchdog allows on top of all other time limits of a stop.
constexpr absl::Duration kHangTimeout = absl::Seconds(5);

// Without `status`'s code, which says nothing to an operator that the sentence
// does not.
absl::Status WithPrefix(absl::string_view prefix, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(prefix, ": ", status.message()));
}

// `wanted`, unless the process may not have descriptors enough. `others` will
// be open besides, and cost as much.
ConnectionBudget::Limits AffordableConnections(
    const ConnectionBudget::Limits& wanted, int others) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  std::error_code error;
  const auto in_use =
      std::distance(std::filesystem::directory_iterator("/proc/self/fd", error),
                    std::filesystem::directory_iterator());
  const ConnectionBudget::Limits affordable = FitToDescriptors(
      wanted, static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT_MAX)),
      in_use + 2 * others);
  if (affordable.total < wanted.total) {
    spdlog::warn(
        "the limit of {} file descriptors allows {} connections, {} of one "
        "peer; --max_connections asks for {}",
        limit.rlim_cur, affordable.total, affordable.per_peer, wanted.total);
  }
  return affordable;
}

std::string AddressFlag(absl::string_view flag, const ListenAddress& address) {
  return absl::StrCat("--", flag, "=", ToString(address));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, const EngineFactory& create_engine) {
  std::unique_ptr<Server> server(new Server(options));
  // A script that waits for the file must not find an earlier run's.
  if (!options.port_file.empty()) unlink(options.port_file.c_str());
  // Before models load, which takes longer than to say that a port is taken.
  if (absl::Status status = CheckCanListen(options.listen); !status.ok()) {
    return WithPrefix(AddressFlag("listen", options.listen), status);
  }
  if (options.admin_listen.has_value()) {
    if (absl::Status status = CheckCanListen(*options.admin_listen);
        !status.ok()) {
      return WithPrefix(AddressFlag("admin_listen", *options.admin_listen),
                        status);
    }
  }
  absl::Status traces = server->metrics_.StartTraces(options.traces);
  if (!traces.ok()) return traces;
  absl::StatusOr<std::unique_ptr<ListenerSecurity>> security =
      ListenerSecurity::Start(options.security, &server->metrics_,
                              server->access_log_.get(), RealClock());
  if (!security.ok()) return security.status();
  server->security_ = *std::move(security);
  if (absl::Status status = server->StartEndpoint(); !status.ok()) {
    return WithPrefix(AddressFlag("http", options.http), status);
  }

  absl::StatusOr<std::unique_ptr<Engine>> engine =
      create_engine(options.engine, &server->metrics_, RealMonotonicClock());
  if (!engine.ok()) return engine.status();
  server->engine_ = *std::move(engine);
  if (absl::Status ready = ReadinessOf(*server->engine_); !ready.ok()) {
    spdlog::warn("not ready: {}", std::string(ready.message()));
  }

  if (options.image_cache_bytes > 0) {
    server->image_cache_ = std::make_unique<ImageCache>(
        options.image_cache_bytes, &server->metrics_);
  }
  // Images can wait here after the engine is done with them, so the room is for
  // as many again as it holds.
  server->encode_pool_ = std::make_unique<EncodePool>(
      options.encode_threads, 2 * options.engine.max_queued_images);
  // Guides take at most half of the engine's room, so that some is left for
  // requests without one.
  server->guide_decoder_ = std::make_unique<GuideDecoder>(
      kGuideThreads, GuideRoom{.images = options.engine.max_queued_images / 2,
                               .bytes = options.engine.max_queued_bytes / 2});
  server->write_timer_ = std::make_unique<DeadlineTimer>(RealMonotonicClock());
  if (absl::Status status = server->StartGrpc(); !status.ok()) {
    return WithPrefix(AddressFlag("listen", options.listen), status);
  }
  std::vector<grpc::HealthCheckServiceInterface*> health = {
      server->grpc_->health()};
  if (options.admin_listen.has_value()) {
    if (absl::Status status = server->StartAdmin(); !status.ok()) {
      return WithPrefix(AddressFlag("admin_listen", *options.admin_listen),
                        status);
    }
    health.push_back(server->admin_->health());
  }
  server->health_ = std::make_unique<HealthReporter>(
      std::move(health),
      std::vector<std::string>{
          "", v1::ImageGeneration::service_full_name(),
          v1::ModelService::service_full_name(),
          inference::GRPCInferenceService::service_full_name()},
      [engine = server->engine_.get()] { return engine->Ready(); },
      kHealthPollInterval, RealMonotonicClock());
  server->SetPhase(Phase::kServing);
  if (!options.port_file.empty()) {
    if (absl::Status status =
            WritePortFile(options.port_file, {.grpc = server->grpc_port(),
                                              .http = server->http_port(),
                                              .admin = server->admin_port()});
        !status.ok()) {
      return WithPrefix(absl::StrCat("--port_file=", options.port_file),
                        status);
    }
  }
  return server;
}

Server::Server(const ServerOptions& options)
    : options_(options),
      metrics_(RealMonotonicClock()),
      access_log_(std::make_unique<AccessLog>(
          options.access_log, options.log_format,
          [this](int lines) { metrics_.OnAccessLinesLost(lines); })),
      ledger_(options.limits.replies,
              [this](int64_t bytes) { metrics_.OnReplyBytes(bytes); }) {}

absl::Duration Server::LongestStop(absl::Duration drain_timeout,
                                   absl::Duration drain_delay) {
  return drain_delay + drain_timeout + kFlushTimeout +
         TraceExport::kLongestEnd + kHangTimeout;
}

Server::~Server() { Stop(absl::ZeroDuration()); }

void Server::Stop(absl::Duration drain_timeout, absl::Duration drain_delay) {
  {
    absl::MutexLock lock(&mu_);
    if (phase_ == Phase::kStopping) return;
    phase_ = Phase::kStopping;
  }
  MonotonicClock* const clock = RealMonotonicClock();
  const ShutdownWatchdog watchdog(
      LongestStop(drain_timeout, drain_delay),
      [] {
        spdlog::critical("the shutdown hangs; ending the process");
        EndLog();
        _exit(1);
      },
      clock);
  if (health_ != nullptr) {
    health_->StopServing();
    absl::SleepFor(drain_delay);
  }
  const absl::Time deadline = clock->Now() + drain_timeout;
  if (grpc_ != nullptr) {
    grpc_->StopAccepting();
    grpc_->SendGoaways();
    model_service_->EndWatches();
    grpc_->AwaitDrained(deadline);
  }
  // Whatever still waits or is in the engine has outlasted the deadline.
  if (guide_decoder_ != nullptr) {
    guide_decoder_->Close(absl::UnavailableError(
        "the server was shut down before the guide was decoded"));
  }
  if (engine_ != nullptr) engine_->Drain(deadline);
  if (grpc_ != nullptr) {
    // gRPC closes no connection while it is writing to it, so that somebody who
    // reads nothing would hold up the stop.
    write_timer_->Add(kFlushTimeout + kCutDelay, [this] {
      grpc_->CutAll();
      if (admin_ != nullptr) admin_->CutAll();
    });
    const absl::Time flushed = clock->Now() + kFlushTimeout;
    grpc_->Shutdown(kFlushTimeout);
    if (admin_ != nullptr) {
      admin_->StopAccepting();
      admin_model_service_->EndWatches();
      admin_->Shutdown(flushed - clock->Now());
    }
  }
  // No call is left, so from here on the parts go in reverse order: a service
  // after the port that it was served on, and what may cut a connection before.
  endpoint_.reset();
  health_.reset();
  write_timer_.reset();
  admin_.reset();
  admin_model_service_.reset();
  grpc_.reset();
  model_service_.reset();
  image_service_.reset();
  inference_service_.reset();
  guide_decoder_.reset();
  encode_pool_.reset();
  image_cache_.reset();
  engine_.reset();
  metrics_.StopTraces();
  access_log_.reset();
}

absl::Status Server::StartEndpoint() {
  absl::StatusOr<std::unique_ptr<MetricsEndpoint>> endpoint =
      MetricsEndpoint::Start(options_.http,
                             {.metrics =
                                  [this] {
                                    metrics_.SetLogLinesLost(LogLinesLost());
                                    return metrics_.Text();
                                  },
                              .live = [this] { return Live(); },
                              .ready = [this] { return Ready(); }});
  if (!endpoint.ok()) return endpoint.status();
  endpoint_ = *std::move(endpoint);
  http_port_ = endpoint_->port();
  return absl::OkStatus();
}

absl::Status Server::StartGrpc() {
  GrpcPort::Options options = {.address = options_.listen,
                               .limits = options_.limits};
  options.limits.connections = AffordableConnections(
      options.limits.connections,
      options_.admin_listen.has_value() ? kAdminConnections.total : 0);
  absl::StatusOr<std::unique_ptr<GrpcPort>> port = OpenPort(options);
  if (!port.ok()) return port.status();
  const GenerationCall::Parts calls = {
      .engine = engine_.get(),
      .encode_pool = encode_pool_.get(),
      .guide_decoder = guide_decoder_.get(),
      .ledger = &ledger_,
      .writes = (*port)->writes(),
      .metrics = &metrics_,
      .access_metrics = &metrics_,
      .access = security_->access(),
      .access_log = access_log_.get(),
      .calls = &calls_,
      .statistics = &statistics_,
      .trace_ratio = options_.traces.CallRatio(),
      .cache = image_cache_.get(),
      .timer = write_timer_.get()};
  image_service_ = std::make_unique<ImageService>(calls);
  inference_service_ = std::make_unique<InferenceService>(
      InferenceService::Parts{.calls = calls,
                              .ready = [this] { return Ready().ok(); },
                              .server_version = kBuildVersion});
  model_service_ = MakeModelService(
      **port, DecideOrderAccess(IsLoopback(options_.listen),
                                options_.admin_listen.has_value(),
                                security_->access() != nullptr));
  if (absl::Status status = (*port)->Serve(
          {{v1::ImageGeneration::service_full_name(),
            image_service_.get(),
            {"Generate", "GenerateStream"}},
           {v1::ModelService::service_full_name(), model_service_.get()},
           {inference::GRPCInferenceService::service_full_name(),
            inference_service_.get(),
            {"ModelInfer"}}});
      !status.ok()) {
    return status;
  }
  grpc_ = *std::move(port);
  grpc_port_ = grpc_->port();
  return absl::OkStatus();
}

absl::Status Server::StartAdmin() {
  GrpcPort::Options options = {.address = *options_.admin_listen,
                               .limits = options_.limits,
                               .counts_connections = false};
  options.limits.connections = kAdminConnections;
  options.limits.max_request_bytes = 4 << 10;  // The largest: reflection's.
  absl::StatusOr<std::unique_ptr<GrpcPort>> port = OpenPort(options);
  if (!port.ok()) return port.status();
  admin_model_service_ = MakeModelService(**port, OrderAccess::kTaken);
  if (absl::Status status =
          (*port)->Serve({{v1::ModelService::service_full_name(),
                           admin_model_service_.get()}});
      !status.ok()) {
    return status;
  }
  admin_ = *std::move(port);
  admin_port_ = admin_->port();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<GrpcPort>> Server::OpenPort(
    const GrpcPort::Options& options) {
  return GrpcPort::Open(options, {.security = security_.get(),
                                  .metrics = &metrics_,
                                  .timer = write_timer_.get(),
                                  .calls = &calls_});
}

std::unique_ptr<ModelService> Server::MakeModelService(const GrpcPort& port,
                                                       OrderAccess orders) {
  return std::make_unique<ModelService>(
      ModelService::Parts{.engine = engine_.get(),
                          .writes = port.writes(),
                          .access_log = access_log_.get(),
                          .access = security_->access()},
      orders);
}

void Server::SetPhase(Phase phase) {
  absl::MutexLock lock(&mu_);
  phase_ = phase;
}

absl::Status Server::Live() const {
  {
    absl::MutexLock lock(&mu_);
    // There is no gRPC port yet, or none any more.
    if (phase_ != Phase::kServing) return absl::OkStatus();
  }
  if (absl::Status engine = engine_->Liveness(); !engine.ok()) return engine;
  absl::Status status = grpc_->Probe(kLivenessTimeout);
  if (!status.ok()) {
    return WithPrefix(absl::StrCat("gRPC port ", grpc_port_), status);
  }
  if (admin_ == nullptr) return status;
  status = admin_->Probe(kLivenessTimeout);
  if (status.ok()) return status;
  return WithPrefix(absl::StrCat("admin port ", admin_port_), status);
}

absl::Status Server::Ready() const {
  absl::MutexLock lock(&mu_);
  switch (phase_) {
    case Phase::kLoading:
      return absl::UnavailableError("loading models");
    case Phase::kStopping:
      return absl::UnavailableError("draining");
    case Phase::kServing:
      break;
  }
  return ReadinessOf(*engine_);
}

}  // namespace ddgan
