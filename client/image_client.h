// Calls a ddgan server: typed, with deadlines and retries, absl::Status out.
#ifndef DDGAN_CLIENT_IMAGE_CLIENT_H_
#define DDGAN_CLIENT_IMAGE_CLIENT_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/call_cancellation.h"
#include "client/retry_policy.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace ddgan {

// One server. Thread-safe: calls from several threads share one connection.
//
// Every method blocks until the reply is complete, the timeout has passed, or
// retrying is of no use. Errors carry the server's code and message; those of
// the connection are Unavailable, and DeadlineExceeded means that `timeout`
// was too short for all attempts together.
class ImageClient {
 public:
  struct Options {
    // For one call, its retries included.
    absl::Duration timeout = absl::Minutes(5);
    RetryPolicy retry;
    // Called before each wait for a retry, on the thread that made the call.
    std::function<void(const absl::Status& failure, absl::Duration delay)>
        on_retry;
    // Ends this client's calls when told to; null: nothing does.
    std::shared_ptr<CallCancellation> cancellation;
  };

  // Most images that one Generate call may ask for.
  static constexpr uint32_t kMaxCountPerCall = 64;

  // `address` is "host:port" or another gRPC target; the connection is not
  // encrypted and carries no token, for which there is OpenChannel of
  // secure_channel.h. Returns at once: the first call connects.
  ImageClient(const std::string& address, Options options);

  // Over an existing channel. It must accept messages of kMaxReplyBytes.
  ImageClient(std::shared_ptr<grpc::Channel> channel, Options options);

  // The server sends up to 64 MiB of images, and the fields around them.
  static constexpr int kMaxReplyBytes = 65 << 20;

  // One call, as image_generation.proto describes it. A reply that does not
  // hold the images that were asked for is DataLoss.
  absl::StatusOr<v1::GenerateResponse> Generate(
      const v1::GenerateRequest& request) const;

  // Any number of images, by calls of at most kMaxCountPerCall each, fewer
  // where the server says that a reply would be too large, one after the other,
  // by ascending index. request.count() is not used. What the server chose in
  // the first call, seed and version, holds for the later ones, so the images
  // are those of one large call.
  //
  // `on_part` gets each reply; an error that it returns ends the calls and is
  // returned. InvalidArgument if count is 0 or the last index would pass
  // 2^32 - 1. Aborted if the version's files changed between two calls.
  absl::Status GenerateInParts(
      v1::GenerateRequest request, uint32_t count,
      const std::function<absl::Status(const v1::GenerateResponse&)>& on_part)
      const;

  // What a stream brings, called on the thread that made the call. Any of them
  // may be left empty. One that returns false ends the stream: the server stops
  // the work, nothing more is called, and the method returns Cancelled.
  struct StreamCallbacks {
    std::function<bool(const v1::StreamAccepted&)> on_accepted;
    std::function<bool(const v1::StreamPreview&)> on_preview;
    std::function<bool(const v1::GeneratedImage&)> on_image;
    std::function<void(const v1::StreamSummary&)> on_summary;
  };

  // One streamed call, as image_generation.proto describes it. A refused call
  // is tried again as others are; after on_accepted a failure is final, since
  // a second attempt would repeat what was seen, and images that came before it
  // stay good. A stream that does not fit the request is DataLoss.
  absl::Status GenerateStream(const v1::GenerateStreamRequest& request,
                              const StreamCallbacks& callbacks) const;

  // As GenerateInParts, by one stream after the other: on_accepted and
  // on_summary are called once for each, and indices ascend from stream to
  // stream, not within one. request.request().count() is not used.
  absl::Status GenerateStreamInParts(v1::GenerateStreamRequest request,
                                     uint32_t count,
                                     const StreamCallbacks& callbacks) const;

  absl::StatusOr<v1::ListModelsResponse> ListModels() const;
  absl::StatusOr<v1::Model> GetModel(const std::string& model) const;

  // As model.proto describes them. The version returned may have to be loaded
  // first: WatchModels tells when it is live.
  absl::StatusOr<v1::ModelVersion> PinVersion(const std::string& model,
                                              int64_t version) const;
  absl::StatusOr<v1::Model> UnpinVersion(const std::string& model) const;
  // Never tried again: had the first attempt reached the server after all, the
  // second would go back one version more.
  absl::StatusOr<v1::ModelVersion> RollBack(const std::string& model) const;

  // Every model first, then each change, to `on_event` on the thread that made
  // the call, until it returns false. OK in that case only; DeadlineExceeded
  // once `duration`, which takes the place of the timeout, is over. A refused
  // call is tried again as others are; after the first event a failure is
  // final.
  absl::Status WatchModels(
      absl::Duration duration,
      const std::function<bool(const v1::WatchModelsResponse&)>& on_event)
      const;

  // The standard health protocol. `service` is a full name such as
  // "ddgan.v1.ImageGeneration"; empty asks for the server as a whole.
  // NotFound if the server does not know the service.
  absl::StatusOr<grpc::health::v1::HealthCheckResponse::ServingStatus>
  CheckHealth(const std::string& service) const;

 private:
  const Options options_;
  const std::unique_ptr<v1::ImageGeneration::Stub> images_;
  const std::unique_ptr<v1::ModelService::Stub> models_;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_IMAGE_CLIENT_H_
