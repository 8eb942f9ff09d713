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

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

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

// `attempt` makes one call with the context that it is given.
template <typename Attempt>
absl::Status CallWithRetries(const ImageClient::Options& options,
                             const Attempt& attempt) {
  const absl::Time deadline = absl::Now() + options.timeout;
  for (int number = 1;; ++number) {
    grpc::ClientContext context;
    if (deadline != absl::InfiniteFuture()) {
      context.set_deadline(absl::ToChronoTime(deadline));
    }
    const absl::Status status = FromGrpc(attempt(&context));
    if (status.ok()) return status;
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
    absl::SleepFor(*delay);
  }
}

}  // namespace

// A caller indexes by what it asked for; a reply from elsewhere (a proxy, a
// server of another version) must not make it read past the end.
absl::Status CheckReply(const v1::GenerateRequest& request,
                        const v1::GenerateResponse& response) {
  if (response.images_size() != static_cast<int64_t>(request.count())) {
    return absl::DataLossError(
        absl::StrCat("the reply holds ", response.images_size(),
                     " images; asked for ", request.count()));
  }
  const v1::ImageShape& shape = response.shape();
  const uint64_t channels = shape.channels();
  if ((channels != 1 && channels != 3) || shape.height() == 0 ||
      shape.width() == 0) {
    return absl::DataLossError(absl::StrCat("the reply says images of ",
                                            shape.width(), "x", shape.height(),
                                            " with ", channels, " channels"));
  }
  // Two 32-bit sides fit 64 bits; the rest is divided, not multiplied.
  const uint64_t pixels = uint64_t{shape.height()} * shape.width();
  for (int i = 0; i < response.images_size(); ++i) {
    const v1::GeneratedImage& image = response.images(i);
    if (image.index() != request.first_index() + static_cast<uint32_t>(i)) {
      return absl::DataLossError(absl::StrCat(
          "the reply's image ", i, " has index ", image.index(), "; wanted ",
          request.first_index() + static_cast<uint32_t>(i)));
    }
    uint64_t element_bytes = 0;
    if (request.format() == v1::OUTPUT_FORMAT_RAW8) element_bytes = 1;
    if (request.format() == v1::OUTPUT_FORMAT_FLOAT32) element_bytes = 4;
    const uint64_t unit = channels * element_bytes;
    if (element_bytes != 0 && (image.data().size() % unit != 0 ||
                               image.data().size() / unit != pixels)) {
      return absl::DataLossError(
          absl::StrCat("image ", image.index(), " has ", image.data().size(),
                       " bytes, which is not ", shape.width(), "x",
                       shape.height(), " with ", channels, " channels"));
    }
  }
  return absl::OkStatus();
}

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
  constexpr uint32_t kMaxIndex = std::numeric_limits<uint32_t>::max();
  if (count == 0) {
    return absl::InvalidArgumentError("count 0; it must be at least 1");
  }
  if (count - 1 > kMaxIndex - request.first_index()) {
    return absl::InvalidArgumentError(
        absl::StrCat("first_index ", request.first_index(), " and count ",
                     count, "; the last index must be at most ", kMaxIndex));
  }
  std::string digest;
  for (uint32_t left = count; left > 0;) {
    request.set_count(std::min(left, kMaxCountPerCall));
    const absl::StatusOr<v1::GenerateResponse> part = Generate(request);
    if (!part.ok()) return part.status();
    if (digest.empty()) digest = part->checkpoint_digest();
    if (part->checkpoint_digest() != digest) {
      return absl::AbortedError(
          absl::StrCat("model ", part->model(), " version ", part->version(),
                       " changed between two calls: digest ", digest, ", then ",
                       part->checkpoint_digest()));
    }
    if (absl::Status status = on_part(*part); !status.ok()) return status;
    left -= request.count();
    request.set_model(part->model());
    request.set_version(part->version());
    request.set_seed(part->seed());
    // Past the last part this wraps, and is not used.
    request.set_first_index(request.first_index() + request.count());
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::ListModelsResponse> ImageClient::ListModels() const {
  v1::ListModelsResponse response;
  const absl::Status status =
      CallWithRetries(options_, [&](grpc::ClientContext* context) {
        return models_->ListModels(context, v1::ListModelsRequest(), &response);
      });
  if (!status.ok()) return status;
  return response;
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
