#include "server/request_conversion.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

void ConvertShape(const ImageShape& shape, v1::ImageShape* out) {
  out->set_channels(shape.channels);
  out->set_height(shape.height);
  out->set_width(shape.width);
}

int64_t ImageBytes(const ImageShape& shape, v1::OutputFormat format) {
  const int64_t elements = int64_t{shape.channels} * shape.height * shape.width;
  return format == v1::OUTPUT_FORMAT_FLOAT32
             ? elements * static_cast<int64_t>(sizeof(float))
             : elements;
}

void ConvertVersion(const ModelVersionStatus& status, v1::ModelVersion* out) {
  out->set_version(status.identity.version);
  out->set_checkpoint_digest(status.identity.digest);
  if (status.state == VersionState::kRefused) {
    out->set_state(v1::MODEL_VERSION_STATE_REFUSED);
    out->set_reason(status.reason);
    return;
  }
  out->set_state(v1::MODEL_VERSION_STATE_LIVE);
  ConvertShape(status.shape, out->mutable_shape());
  out->set_num_timesteps(status.num_timesteps);
  out->set_training_step(status.training_step);
  out->set_dataset(status.dataset);
  const absl::Duration since_epoch = status.loaded_at - absl::UnixEpoch();
  absl::Duration rest;
  out->mutable_loaded_at()->set_seconds(
      absl::IDivDuration(since_epoch, absl::Seconds(1), &rest));
  out->mutable_loaded_at()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

}  // namespace

absl::StatusOr<ConvertedRequest> ConvertRequest(
    const v1::GenerateRequest& request, absl::Time deadline,
    absl::FunctionRef<uint64_t()> draw_seed) {
  if (request.model().size() > kMaxModelNameSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("model: name of ", request.model().size(),
                     " bytes, allowed are at most ", kMaxModelNameSize));
  }
  if (request.has_version() && request.version() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("version: ", request.version(), " is out of range [1, ",
                     std::numeric_limits<int64_t>::max(), "]"));
  }
  if (request.count() < 1 || request.count() > GenerationRequest::kMaxCount) {
    return absl::InvalidArgumentError(
        absl::StrCat("count: ", request.count(), " is out of range [1, ",
                     GenerationRequest::kMaxCount, "]"));
  }
  constexpr uint32_t kMaxIndex = std::numeric_limits<uint32_t>::max();
  if (request.first_index() > kMaxIndex - (request.count() - 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "first_index: ", request.first_index(), " is out of range [0, ",
        kMaxIndex - (request.count() - 1), "] for count ", request.count(),
        ", as the last index must fit 32 bits"));
  }
  if (!v1::OutputFormat_IsValid(request.format())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "format: ", static_cast<int>(request.format()), " is out of range [",
        v1::OutputFormat_MIN, ", ", v1::OutputFormat_MAX, "] of OutputFormat"));
  }

  ConvertedRequest converted;
  if (request.format() != v1::OUTPUT_FORMAT_UNSPECIFIED) {
    converted.format = request.format();
  }
  GenerationRequest& generation = converted.generation;
  generation.model = request.model();
  if (request.has_version()) generation.version = request.version();
  generation.count = request.count();
  generation.seed = request.has_seed() ? request.seed() : draw_seed();
  generation.first_index = request.first_index();
  generation.pixel_format = converted.format == v1::OUTPUT_FORMAT_FLOAT32
                                ? PixelFormat::kFloat32
                                : PixelFormat::kUint8;
  generation.deadline = deadline;
  return converted;
}

absl::Status CheckReplySize(const ConvertedRequest& request,
                            const ImageShape& shape) {
  const int64_t fits = kMaxReplyImageBytes / ImageBytes(shape, request.format);
  if (request.generation.count <= fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "count: ", request.generation.count, " is out of range [1, ", fits,
      "] for ", v1::OutputFormat_Name(request.format), " images of ",
      shape.channels, "x", shape.height, "x", shape.width,
      ", as a reply holds at most ", kMaxReplyImageBytes, " bytes"));
}

void FillReplyHeader(const Acceptance& acceptance, uint64_t seed,
                     v1::GenerateResponse* response) {
  response->set_model(acceptance.identity.model);
  response->set_version(acceptance.identity.version);
  response->set_checkpoint_digest(acceptance.identity.digest);
  response->set_seed(seed);
  response->set_num_timesteps(acceptance.num_timesteps);
  ConvertShape(acceptance.shape, response->mutable_shape());
}

v1::ListModelsResponse ConvertModelList(
    const std::vector<ModelVersionStatus>& versions) {
  std::map<std::string, std::vector<const ModelVersionStatus*>> by_model;
  for (const ModelVersionStatus& version : versions) {
    by_model[version.identity.model].push_back(&version);
  }
  v1::ListModelsResponse response;
  for (auto& [name, of_model] : by_model) {
    std::stable_sort(
        of_model.begin(), of_model.end(),
        [](const ModelVersionStatus* a, const ModelVersionStatus* b) {
          return a->identity.version > b->identity.version;
        });
    v1::Model* model = response.add_models();
    model->set_name(name);
    for (const ModelVersionStatus* version : of_model) {
      ConvertVersion(*version, model->add_versions());
    }
  }
  return response;
}

absl::Time ConvertDeadline(std::chrono::system_clock::time_point deadline) {
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return absl::InfiniteFuture();
  }
  return absl::FromChrono(deadline);
}

}  // namespace ddgan
