#include "client/image_client.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "client/reply_check.h"

namespace ddgan {
namespace {

using HealthStatus = grpc::health::v1::HealthCheckResponse::ServingStatus;

std::shared_ptr<grpc::Channel> CreateChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(ImageClient::kMaxReplyBytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

// gRPC's codes and Abseil's have the same numbers.
absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

std::optional<RetryPushback> PushbackOf(const grpc::ClientContext& context) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto trailer = trailers.find("grpc-retry-pushback-ms");
  if (trailer == trailers.end()) return std::nullopt;
  return ParseRetryPushback(
      absl::string_view(trailer->second.data(), trailer->second.size()));
}

double UniformJitter() {
  thread_local std::mt19937 generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

// `attempt` makes one call with the context that it is given. There is another
// attempt only if `may_retry` agrees.
absl::Status CallWithRetries(
    const ImageClient::Options& options,
    absl::FunctionRef<grpc::Status(grpc::ClientContext*)> attempt,
    absl::FunctionRef<bool()> may_retry = [] { return true; }) {
  const absl::Time deadline = absl::Now() + options.timeout;
  for (int number = 1;; ++number) {
    grpc::ClientContext context;
    if (deadline != absl::InfiniteFuture()) {
      context.set_deadline(absl::ToChronoTime(deadline));
    }
    const CallCancellation::Attached attached(options.cancellation.get(),
                                              &context);
    const absl::Status status = FromGrpc(attempt(&context));
    if (status.ok() || !may_retry()) return status;
    FailedAttempt failed;
    failed.attempt = number;
    failed.code = status.code();
    failed.pushback = PushbackOf(context);
    failed.time_left = deadline - absl::Now();
    failed.jitter = UniformJitter();
    const std::optional<absl::Duration> delay =
        DelayBeforeRetry(options.retry, failed);
    if (!delay.has_value()) return status;
    if (options.on_retry) options.on_retry(status, *delay);
    if (options.cancellation == nullptr) {
      absl::SleepFor(*delay);
    } else if (options.cancellation->SleepUnlessCancelled(*delay)) {
      return absl::CancelledError("cancelled before the next attempt");
    }
  }
}

// A call of the model service by `method` of its stub, as CallWithRetries.
template <typename Request, typename Response>
absl::StatusOr<Response> CallModels(
    const ImageClient::Options& options, v1::ModelService::Stub& stub,
    grpc::Status (v1::ModelService::Stub::*method)(grpc::ClientContext*,
                                                   const Request&, Response*),
    const Request& request,
    absl::FunctionRef<bool()> may_retry = [] { return true; }) {
  Response response;
  const absl::Status status = CallWithRetries(
      options,
      [&](grpc::ClientContext* context) {
        return (stub.*method)(context, request, &response);
      },
      may_retry);
  if (!status.ok()) return status;
  return response;
}

// What the server chose in the first call of several, and the others must keep.
struct Choice {
  std::string model;
  int64_t version = 0;
  std::string digest;
  uint64_t seed = 0;
};

// `Reply` is GenerateResponse or StreamAccepted.
template <typename Reply>
Choice ChoiceOf(const Reply& reply) {
  return {reply.model(), reply.version(), reply.checkpoint_digest(),
          reply.seed()};
}

absl::Status CheckSameCheckpoint(const std::optional<Choice>& first,
                                 const Choice& now) {
  if (!first.has_value() || first->digest == now.digest) {
    return absl::OkStatus();
  }
  return absl::AbortedError(absl::StrCat("model ", now.model, " version ",
                                         now.version,
                                         " changed between two calls: digest ",
                                         first->digest, ", then ", now.digest));
}

// Whether the server would answer, were there fewer images in a reply: large
// ones reach its most bytes before kMaxCountPerCall.
bool IsCountRefused(const absl::Status& status) {
  return absl::IsInvalidArgument(status) &&
         absl::StartsWith(status.message(), "count: ");
}

// Splits `request` into calls of at most kMaxCountPerCall images, or of as many
// as the server allows. `call` makes one of them; it gets the choice of the
// first, unset in the first itself, and returns its own.
absl::Status CallInParts(
    v1::GenerateRequest request, uint32_t count,
    absl::FunctionRef<absl::StatusOr<Choice>(const v1::GenerateRequest&,
                                             const std::optional<Choice>&)>
        call) {
  constexpr uint32_t kMaxIndex = std::numeric_limits<uint32_t>::max();
  if (count == 0) {
    return absl::InvalidArgumentError("count 0; it must be at least 1");
  }
  if (count - 1 > kMaxIndex - request.first_index()) {
    return absl::InvalidArgumentError(
        absl::StrCat("first_index ", request.first_index(), " and count ",
                     count, "; the last index must be at most ", kMaxIndex));
  }
  std::optional<Choice> first;
  uint32_t most = ImageClient::kMaxCountPerCall;
  for (uint32_t left = count; left > 0;) {
    request.set_count(std::min(left, most));
    absl::StatusOr<Choice> choice = call(request, first);
    if (IsCountRefused(choice.status()) && request.count() > 1) {
      most = request.count() / 2;
      continue;
    }
    if (!choice.ok()) return choice.status();
    if (!first.has_value()) first = *std::move(choice);
    left -= request.count();
    request.set_model(first->model);
    request.set_version(first->version);
    request.set_seed(first->seed);
    // Past the last part this wraps, and is not used.
    request.set_first_index(request.first_index() + request.count());
  }
  return absl::OkStatus();
}

}  // namespace

ImageClient::ImageClient(const std::string& address, Options options)
    : ImageClient(CreateChannel(address), std::move(options)) {}

ImageClient::ImageClient(std::shared_ptr<grpc::Channel> channel,
                         Options options)
    : options_(std::move(options)),
      images_(v1::ImageGeneration::NewStub(channel)),
      models_(v1::ModelService::NewStub(channel)),
      health_(grpc::health::v1::Health::NewStub(channel)) {}

absl::StatusOr<v1::GenerateResponse> ImageClient::Generate(
    const v1::GenerateRequest& request) const {
  v1::GenerateResponse response;
  absl::Status status =
      CallWithRetries(options_, [&](grpc::ClientContext* context) {
        return images_->Generate(context, request, &response);
      });
  if (status.ok()) status = CheckReply(request, response);
  if (!status.ok()) return status;
  return response;
}

absl::Status ImageClient::GenerateInParts(
    v1::GenerateRequest request, uint32_t count,
    const std::function<absl::Status(const v1::GenerateResponse&)>& on_part)
    const {
  return CallInParts(
      std::move(request), count,
      [&](const v1::GenerateRequest& part_request,
          const std::optional<Choice>& first) -> absl::StatusOr<Choice> {
        const absl::StatusOr<v1::GenerateResponse> part =
            Generate(part_request);
        if (!part.ok()) return part.status();
        const Choice choice = ChoiceOf(*part);
        absl::Status status = CheckSameCheckpoint(first, choice);
        if (status.ok()) status = on_part(*part);
        if (!status.ok()) return status;
        return choice;
      });
}

absl::Status ImageClient::GenerateStream(
    const v1::GenerateStreamRequest& request,
    const StreamCallbacks& callbacks) const {
  StreamReader stream(request.request(), callbacks);
  absl::Status taken;
  const absl::Status called = CallWithRetries(
      options_,
      [&](grpc::ClientContext* context) {
        const auto reader = images_->GenerateStream(context, request);
        v1::GenerateStreamResponse event;
        while (reader->Read(&event)) {
          if (!taken.ok()) continue;  // It ends once all is read.
          taken = stream.Take(event);
          if (!taken.ok()) context->TryCancel();
        }
        return reader->Finish();
      },
      [&stream] { return !stream.accepted(); });
  if (!taken.ok()) return taken;
  if (!called.ok()) return called;
  return stream.CheckComplete();
}

absl::Status ImageClient::GenerateStreamInParts(
    v1::GenerateStreamRequest request, uint32_t count,
    const StreamCallbacks& callbacks) const {
  return CallInParts(
      request.request(), count,
      [&](const v1::GenerateRequest& part_request,
          const std::optional<Choice>& first) -> absl::StatusOr<Choice> {
        *request.mutable_request() = part_request;
        Choice choice;
        absl::Status same;
        StreamCallbacks part = callbacks;
        part.on_accepted = [&](const v1::StreamAccepted& accepted) {
          choice = ChoiceOf(accepted);
          same = CheckSameCheckpoint(first, choice);
          if (!same.ok()) return false;
          return !callbacks.on_accepted || callbacks.on_accepted(accepted);
        };
        const absl::Status status = GenerateStream(request, part);
        if (!same.ok()) return same;
        if (!status.ok()) return status;
        return choice;
      });
}

absl::StatusOr<v1::ListModelsResponse> ImageClient::ListModels() const {
  return CallModels(options_, *models_, &v1::ModelService::Stub::ListModels,
                    v1::ListModelsRequest());
}

absl::StatusOr<v1::Model> ImageClient::GetModel(
    const std::string& model) const {
  v1::GetModelRequest request;
  request.set_model(model);
  const auto response = CallModels(options_, *models_,
                                   &v1::ModelService::Stub::GetModel, request);
  if (!response.ok()) return response.status();
  return response->model();
}

absl::StatusOr<v1::ModelVersion> ImageClient::PinVersion(
    const std::string& model, int64_t version) const {
  v1::PinVersionRequest request;
  request.set_model(model);
  request.set_version(version);
  const auto response = CallModels(
      options_, *models_, &v1::ModelService::Stub::PinVersion, request);
  if (!response.ok()) return response.status();
  return response->version();
}

absl::StatusOr<v1::Model> ImageClient::UnpinVersion(
    const std::string& model) const {
  v1::UnpinVersionRequest request;
  request.set_model(model);
  const auto response = CallModels(
      options_, *models_, &v1::ModelService::Stub::UnpinVersion, request);
  if (!response.ok()) return response.status();
  return response->model();
}

absl::StatusOr<v1::ModelVersion> ImageClient::RollBack(
    const std::string& model) const {
  v1::RollBackRequest request;
  request.set_model(model);
  const auto response =
      CallModels(options_, *models_, &v1::ModelService::Stub::RollBack, request,
                 [] { return false; });
  if (!response.ok()) return response.status();
  return response->version();
}

absl::Status ImageClient::WatchModels(
    absl::Duration duration,
    const std::function<bool(const v1::WatchModelsResponse&)>& on_event) const {
  Options options = options_;
  options.timeout = duration;
  bool begun = false;
  bool ended = false;
  const absl::Status called = CallWithRetries(
      options,
      [&](grpc::ClientContext* context) {
        const auto reader =
            models_->WatchModels(context, v1::WatchModelsRequest());
        v1::WatchModelsResponse event;
        while (reader->Read(&event)) {
          if (ended) continue;  // It ends once all is read.
          begun = true;
          ended = !on_event(event);
          if (ended) context->TryCancel();
        }
        return reader->Finish();
      },
      [&begun] { return !begun; });
  if (ended) return absl::OkStatus();
  if (called.ok()) return absl::DataLossError("the watch ended without reason");
  return called;
}

absl::StatusOr<HealthStatus> ImageClient::CheckHealth(
    const std::string& service) const {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const absl::Status status =
      CallWithRetries(options_, [&](grpc::ClientContext* context) {
        return health_->Check(context, request, &response);
      });
  if (!status.ok()) return status;
  return response.status();
}

}  // namespace ddgan
