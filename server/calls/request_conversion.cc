#include "server/calls/request_conversion.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/access/caller_name.h"
#include "server/calls/guide_conversion.h"

namespace ddgan {
namespace {

// No call takes as long.
constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 3652);

void ConvertDuration(absl::Duration duration, google::protobuf::Duration* out) {
  absl::Duration rest;
  out->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  out->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

// `Message` is GenerateResponse or StreamAccepted.
template <typename Message>
void FillHeader(const Acceptance& acceptance, uint64_t seed, Message* message) {
  message->set_model(acceptance.identity.model);
  message->set_version(acceptance.identity.version);
  message->set_checkpoint_digest(acceptance.identity.digest);
  message->set_seed(seed);
  message->set_num_timesteps(acceptance.num_timesteps);
  message->set_evaluations(acceptance.evaluations);
  ConvertShape(acceptance.shape, message->mutable_shape());
}

absl::Status CheckModelNameSize(const std::string& name, size_t min,
                                absl::string_view field) {
  if (name.size() >= min && name.size() <= kMaxNameSize) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": name of ", name.size(), " bytes, allowed are [",
                   min, ", ", kMaxNameSize, "]"));
}

}  // namespace

absl::Status CheckModelName(const std::string& name, absl::string_view field) {
  return CheckModelNameSize(name, 1, field);
}

absl::Status CheckVersion(int64_t version) {
  if (version >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("version: ", version, " is out of range [1, ",
                   std::numeric_limits<int64_t>::max(), "]"));
}

absl::StatusOr<ConvertedRequest> ConvertRequest(
    const v1::GenerateRequest& request, absl::Time deadline,
    absl::FunctionRef<uint64_t()> draw_seed) {
  if (absl::Status status = CheckModelNameSize(request.model(), 0, "model");
      !status.ok()) {
    return status;
  }
  if (request.has_version()) {
    if (absl::Status status = CheckVersion(request.version()); !status.ok()) {
      return status;
    }
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
  if (!v1::RequestClass_IsValid(request.request_class())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "request_class: ", static_cast<int>(request.request_class()),
        " is out of range [", v1::RequestClass_MIN, ", ", v1::RequestClass_MAX,
        "] of RequestClass"));
  }

  ConvertedRequest converted;
  if (request.format() != v1::OUTPUT_FORMAT_UNSPECIFIED) {
    converted.formats = {request.format()};
  }
  GenerationRequest& generation = converted.generation;
  generation.model = request.model();
  if (request.has_version()) generation.version = request.version();
  generation.count = request.count();
  generation.seed = request.has_seed() ? request.seed() : draw_seed();
  generation.first_index = request.first_index();
  generation.pixel_format = PixelFormatFor(converted.formats);
  generation.deadline = deadline;
  generation.request_class = request.request_class() == v1::REQUEST_CLASS_BATCH
                                 ? RequestClass::kBatch
                                 : RequestClass::kInteractive;
  if (request.has_guide()) {
    absl::StatusOr<Guide> guide = ConvertGuide(request.guide());
    if (!guide.ok()) return guide.status();
    generation.guide = *guide;
  }
  return converted;
}

PixelFormat PixelFormatFor(const std::vector<v1::OutputFormat>& formats) {
  return std::find(formats.begin(), formats.end(), v1::OUTPUT_FORMAT_FLOAT32) ==
                 formats.end()
             ? PixelFormat::kUint8
             : PixelFormat::kFloat32;
}

std::string NamesOf(const std::vector<v1::OutputFormat>& formats) {
  return absl::StrJoin(formats, " and ",
                       [](std::string* out, v1::OutputFormat format) {
                         out->append(v1::OutputFormat_Name(format));
                       });
}

int64_t ImageBytes(const ImageShape& shape, v1::OutputFormat format) {
  const int64_t elements = int64_t{shape.channels} * shape.height * shape.width;
  return format == v1::OUTPUT_FORMAT_FLOAT32
             ? elements * static_cast<int64_t>(sizeof(float))
             : elements;
}

absl::Status CheckReplySize(const ConvertedRequest& request,
                            const ImageShape& shape) {
  int64_t image = 0;
  for (const v1::OutputFormat format : request.formats) {
    image += ImageBytes(shape, format);
  }
  const int64_t fits = kMaxReplyImageBytes / image;
  if (request.generation.count <= fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      request.count_field, ": ", request.generation.count,
      " is out of range [1, ", fits, "] for ", NamesOf(request.formats),
      " images of ", shape.channels, "x", shape.height, "x", shape.width,
      ", as a reply holds at most ", kMaxReplyImageBytes, " bytes"));
}

void FillReplyHeader(const Acceptance& acceptance, uint64_t seed,
                     v1::GenerateResponse* response) {
  FillHeader(acceptance, seed, response);
}

void ConvertShape(const ImageShape& shape, v1::ImageShape* out) {
  out->set_channels(shape.channels);
  out->set_height(shape.height);
  out->set_width(shape.width);
}

v1::StreamAccepted ConvertAcceptance(const Acceptance& acceptance,
                                     uint64_t seed) {
  v1::StreamAccepted accepted;
  FillHeader(acceptance, seed, &accepted);
  accepted.set_images_ahead(static_cast<uint32_t>(acceptance.images_ahead));
  if (acceptance.expected_start.has_value()) {
    ConvertDuration(*acceptance.expected_start,
                    accepted.mutable_expected_start());
  }
  return accepted;
}

void ConvertTimings(const GenerationTimings& timings, absl::Duration encode,
                    v1::GenerateTimings* out) {
  ConvertDuration(timings.queue, out->mutable_queue());
  ConvertDuration(timings.steps, out->mutable_steps());
  ConvertDuration(encode, out->mutable_encode());
}

absl::Time ConvertDeadline(const gpr_timespec& deadline,
                           const gpr_timespec& grpc_now, absl::Time now) {
  // Seconds alone, which no timeout that HTTP/2 can carry overflows.
  const absl::Duration left =
      absl::Seconds(deadline.tv_sec) - absl::Seconds(grpc_now.tv_sec) +
      absl::Nanoseconds(deadline.tv_nsec) - absl::Nanoseconds(grpc_now.tv_nsec);
  return left > kLongestTimeout ? absl::InfiniteFuture() : now + left;
}

}  // namespace ddgan
