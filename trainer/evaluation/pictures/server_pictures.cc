#include "trainer/evaluation/pictures/server_pictures.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/image_client.h"
#include "client/secure_channel.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/evaluation/pictures/pictures_description.h"

namespace ddgan {
namespace {

constexpr size_t kDigestDigits = 64;

absl::Status OfServer(const std::string& address, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("--server=", address, ": ",
                                                  status.message()));
}

class ClientPictures : public ServerPictures {
 public:
  ClientPictures(std::string address, std::unique_ptr<const ImageClient> client,
                 v1::GenerateRequest request, ModelIdentity identity,
                 const ImageShape& shape, std::string description)
      : address_(std::move(address)),
        client_(std::move(client)),
        request_(std::move(request)),
        identity_(std::move(identity)),
        shape_(shape),
        description_(std::move(description)) {}

  const std::string& description() const override { return description_; }
  const ImageShape& shape() const override { return shape_; }
  int64_t size() const override { return int64_t{1} << 32; }
  const ModelIdentity& identity() const override { return identity_; }

  absl::StatusOr<std::vector<uint8_t>> Pictures(int64_t first,
                                                int64_t count) override {
    if (absl::Status s = CheckPictureRange(first, count, size()); !s.ok()) {
      return s;
    }
    v1::GenerateRequest request = request_;
    request.set_first_index(static_cast<uint32_t>(first));
    std::vector<uint8_t> pictures;
    pictures.reserve(static_cast<size_t>(count) * PictureBytes(shape_));
    const absl::Status status =
        client_->GenerateInParts(request, static_cast<uint32_t>(count),
                                 [&](const v1::GenerateResponse& response) {
                                   return Append(response, &pictures);
                                 });
    if (!status.ok()) return OfServer(address_, status);
    return pictures;
  }

 private:
  absl::Status Append(const v1::GenerateResponse& response,
                      std::vector<uint8_t>* pictures) const {
    if (response.checkpoint_digest() != identity_.digest) {
      return absl::AbortedError(absl::StrCat(
          "version ", identity_.version, " of ", identity_.model,
          " has other files than at the start: digest ",
          response.checkpoint_digest(), " instead of ", identity_.digest));
    }
    for (const v1::GeneratedImage& image : response.images()) {
      if (image.data().size() != PictureBytes(shape_)) {
        return absl::DataLossError("an image of another size than the first");
      }
      pictures->insert(pictures->end(), image.data().begin(),
                       image.data().end());
    }
    return absl::OkStatus();
  }

  const std::string address_;
  const std::unique_ptr<const ImageClient> client_;
  const v1::GenerateRequest request_;  // With the version that answered.
  const ModelIdentity identity_;
  const ImageShape shape_;
  const std::string description_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ServerPictures>> OpenServerPictures(
    const ServerModel& model) {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel =
      OpenChannel(model.address, ConnectionSecurity());
  if (!channel.ok()) return channel.status();
  ImageClient::Options options;
  options.timeout = absl::InfiniteDuration();
  auto client =
      std::make_unique<const ImageClient>(*std::move(channel), options);
  v1::GenerateRequest request;
  request.set_model(model.model);
  if (model.version.has_value()) request.set_version(*model.version);
  request.set_count(1);
  request.set_seed(model.seed);
  // All bits, by which one way of computing differs from another.
  request.set_format(v1::OUTPUT_FORMAT_FLOAT32);
  request.set_request_class(v1::REQUEST_CLASS_BATCH);
  const absl::StatusOr<v1::GenerateResponse> first = client->Generate(request);
  if (!first.ok()) return OfServer(model.address, first.status());
  // The names become part of a description, which is kept in a file.
  if (!IsModelName(first->model()) ||
      first->checkpoint_digest().size() != kDigestDigits) {
    return OfServer(model.address,
                    absl::DataLossError("the reply names no model and digest"));
  }
  const ImageShape shape = {static_cast<int>(first->shape().channels()),
                            static_cast<int>(first->shape().height()),
                            static_cast<int>(first->shape().width())};
  request.set_version(first->version());
  request.set_format(v1::OUTPUT_FORMAT_RAW8);
  const ModelIdentity identity = {first->model(), first->version(),
                                  first->checkpoint_digest()};
  return std::make_unique<ClientPictures>(
      model.address, std::move(client), std::move(request), identity, shape,
      ServerPicturesDescription(identity, model.seed, first->images(0).data()));
}

}  // namespace ddgan
