#include "server/grpc_port.h"

#include <google/protobuf/descriptor.h>
#include <grpc/grpc.h>

#include <utility>

#include "absl/base/call_once.h"
#include "absl/time/clock.h"
#include "engine/base/monotonic_clock.h"
#include "server/calls/request_conversion.h"
#include "server/connections/connection_drain.h"
#include "server/connections/drain_policy.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// How often a drain looks whether it is over.
constexpr absl::Duration kDrainPollInterval = absl::Milliseconds(50);

// What has to be done once in a process before the first port serves.
void PrepareGrpc() {
  static absl::once_flag once;
  absl::call_once(once, [] {
    // Never shut down again: with its last user gone, gRPC waits for the thread
    // that has written a large reply, which sleeps for up to 10 s (seen in
    // 1.51).
    grpc_init();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcPort>> GrpcPort::Open(const Options& options,
                                                         const Parts& parts) {
  absl::StatusOr<std::unique_ptr<ConnectionAcceptor>> acceptor =
      ConnectionAcceptor::Listen(
          options.address,
          {.limits = options.limits.connections,
           .receive = ReceiveLimits(options.limits),
           .send_timeout = options.limits.write_timeout,
           .tls = parts.security->tls()},
          options.counts_connections ? parts.metrics : nullptr);
  if (!acceptor.ok()) return acceptor.status();
  return std::unique_ptr<GrpcPort>(
      new GrpcPort(options, parts, *std::move(acceptor)));
}

GrpcPort::GrpcPort(const Options& options, const Parts& parts,
                   std::unique_ptr<ConnectionAcceptor> acceptor)
    : options_(options),
      security_(parts.security),
      calls_(parts.calls),
      acceptor_(std::move(acceptor)),
      writes_({.timer = parts.timer,
               .metrics = parts.metrics,
               .timeout = options.limits.write_timeout,
               .cut = [acceptor = acceptor_.get()](
                          const PeerEndpoint& peer) { acceptor->Cut(peer); }}),
      gate_(options.limits.requests, parts.timer, parts.metrics) {}

absl::Status GrpcPort::Serve(std::vector<NamedService> services) {
  PrepareGrpc();
  services.insert(
      services.end(),
      {{grpc::health::v1::Health::service_full_name(), &health_},
       {grpc::reflection::v1::ServerReflection::service_full_name(),
        &reflection_v1_},
       {grpc::reflection::v1alpha::ServerReflection::service_full_name(),
        &reflection_v1alpha_}});
  grpc::ServerBuilder builder;
  ApplyTo(options_.limits, &builder);
  builder.SetMaxSendMessageSize(
      static_cast<int>(kMaxReplyImageBytes + kMaxReplyOverheadBytes));
  std::unique_ptr<ConnectionAcceptor::Handler> connections =
      builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::
              FROM_FD,
          security_->credentials());
  reflection_source_.gate = &gate_;
  reflection_source_.writes = &writes_;
  for (const NamedService& service : services) {
    reflection_source_.services.push_back(service.name);
    gated_.push_back(std::make_unique<GatedService>(
        service.service,
        *google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
            service.name),
        GatedService::Options{
            .gate = &gate_,
            .calls = calls_,
            .max_metadata_bytes = options_.limits.max_metadata_bytes,
            .booking_methods = service.booking_methods,
            .on_progress = [acceptor =
                                acceptor_.get()](const PeerEndpoint& peer) {
              acceptor->Progress(peer);
            }}));
    builder.RegisterService(gated_.back().get());
  }
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return absl::InternalError("gRPC does not start");
  acceptor_->Start(std::move(connections));
  return absl::OkStatus();
}

void GrpcPort::SendGoaways() {
  ddgan::SendGoaways(server_.get());
  told_ = RealMonotonicClock()->Now();
}

void GrpcPort::AwaitDrained(absl::Time deadline) {
  while (true) {
    const CallsInFlight::Snapshot now = calls_->Now();
    const DrainVerdict verdict =
        JudgeDrain({.has_connections = acceptor_->open_connections() > 0,
                    .calls_in_flight = now.count,
                    .last_call_ended = now.last_ended},
                   told_, deadline, RealMonotonicClock()->Now());
    if (verdict == DrainVerdict::kOutOfTime && now.count > 0) {
      spdlog::warn("the drain is out of time with {} calls unfinished",
                   now.count);
    }
    if (verdict != DrainVerdict::kWait) return;
    absl::SleepFor(kDrainPollInterval);
    // One that was being set up meanwhile.
    ddgan::SendGoaways(server_.get());
  }
}

void GrpcPort::Shutdown(absl::Duration limit) {
  // gRPC would wait for whoever waits for a turn, and for who watches.
  gate_.Close();
  health_.Shutdown();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + limit));
}

}  // namespace ddgan
