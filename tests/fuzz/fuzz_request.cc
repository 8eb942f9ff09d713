// A request on the wire: bytes to the message, the message to the engine's
// request.
#include <array>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ddgan/v1/image_generation.pb.h"
#include "server/calls/request_conversion.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

constexpr std::array<const char*, 9> kFields = {
    "model: ",       "version: ",   "count: ",
    "first_index: ", "format: ",    "request_class: ",
    "guide.png: ",   "guide.fit: ", "guide.steps: "};
constexpr uint64_t kDrawn = 0xd7a0;

bool NamesField(const absl::Status& status) {
  for (const char* field : kFields) {
    if (absl::StartsWith(status.message(), field)) {
      return true;
    }
  }
  return false;
}

void CheckConverted(const v1::GenerateRequest& request, absl::Time deadline,
                    const ConvertedRequest& converted) {
  const GenerationRequest& generation = converted.generation;
  Require(generation.model == request.model() && generation.model.size() <= 64,
          "the model that was asked for");
  Require(generation.version.has_value() == request.has_version() &&
              generation.version.value_or(1) >= 1,
          "the version that was asked for");
  Require(generation.count == request.count() && generation.count >= 1 &&
              generation.count <= GenerationRequest::kMaxCount,
          "the count that was asked for");
  Require(uint64_t{generation.first_index} + generation.count - 1 <=
              std::numeric_limits<uint32_t>::max(),
          "the last index fits");
  Require(generation.seed == (request.has_seed() ? request.seed() : kDrawn),
          "the seed that was asked for, or one that was drawn");
  Require(converted.formats ==
              std::vector<v1::OutputFormat>{
                  request.format() == v1::OUTPUT_FORMAT_UNSPECIFIED
                      ? v1::OUTPUT_FORMAT_PNG
                      : request.format()},
          "the format that was asked for, or PNG");
  Require((generation.pixel_format == PixelFormat::kFloat32) ==
              (request.format() == v1::OUTPUT_FORMAT_FLOAT32),
          "pixels for the format");
  Require(generation.deadline == deadline, "the call's deadline");
  Require(generation.guide.has_value() == request.has_guide(), "the guide");
  if (generation.guide.has_value()) {
    const Guide& guide = *generation.guide;
    Require(guide.steps >= 1 &&
                static_cast<uint32_t>(guide.steps) == request.guide().steps(),
            "the guide's steps");
    Require(guide.picture.numel() >= 1 && guide.picture.width <= 2048 &&
                guide.picture.height <= 2048,
            "a guide of an allowed size");
  }
}

void CheckSize(const ConvertedRequest& converted) {
  for (const ImageShape& shape :
       {ImageShape{1, 28, 28}, ImageShape{3, 256, 256},
        ImageShape{3, 2048, 2048}}) {
    const int64_t all = ImageBytes(shape, converted.formats.front()) *
                        converted.generation.count;
    Require(
        CheckReplySize(converted, shape).ok() == (all <= kMaxReplyImageBytes),
        "a reply that is too large is refused");
  }
}

void Check(const v1::GenerateRequest& request) {
  const absl::Time deadline = absl::FromUnixSeconds(1'000);
  const auto converted =
      ConvertRequest(request, deadline, [] { return kDrawn; });
  if (converted.ok()) {
    CheckConverted(request, deadline, *converted);
    CheckSize(*converted);
  } else {
    Require(absl::IsInvalidArgument(converted.status()) &&
                NamesField(converted.status()),
            "a refused request is InvalidArgument and names the field");
  }
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Where the bytes are not of a message, what came before is looked at: a
  // valid message, too.
  ddgan::v1::GenerateRequest request;
  static_cast<void>(request.ParseFromArray(data, static_cast<int>(size)));
  ddgan::Check(request);
  ddgan::v1::GenerateStreamRequest stream;
  static_cast<void>(stream.ParseFromArray(data, static_cast<int>(size)));
  ddgan::Check(stream.request());
  return 0;
}
