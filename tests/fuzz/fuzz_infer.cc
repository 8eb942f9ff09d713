// A request of the inference protocol on the wire: bytes to the message, the
// message to the engine's request.
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "inference/v2.pb.h"
#include "server/kserve/infer_conversion.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

bool NamesField(const absl::Status& status) {
  for (const char* field :
       {"model_name: ", "model_version: ", "id: ", "parameters: ", "outputs",
        "inputs", "raw_input_contents"}) {
    if (absl::StartsWith(status.message(), field)) return true;
  }
  return false;
}

void CheckConverted(const inference::ModelInferRequest& request,
                    const ConvertedInfer& converted) {
  const GenerationRequest& generation = converted.request.generation;
  Require(generation.model == request.model_name() &&
              !generation.model.empty() && generation.model.size() <= 64,
          "the model that was asked for");
  Require(generation.version.has_value() != request.model_version().empty() &&
              generation.version.value_or(1) >= 1,
          "the version that was asked for");
  Require(generation.count >= 1 &&
              generation.count <= GenerationRequest::kMaxCount &&
              generation.noise.size() == generation.count,
          "the noise of each image");
  Require(converted.timeout > absl::ZeroDuration(), "a timeout");
  const std::vector<v1::OutputFormat>& formats = converted.request.formats;
  const std::set<v1::OutputFormat> different(formats.begin(), formats.end());
  Require(!formats.empty() && different.size() == formats.size() &&
              different.count(v1::OUTPUT_FORMAT_UNSPECIFIED) == 0,
          "outputs that are there, each once");
  Require(generation.pixel_format == PixelFormatFor(formats),
          "pixels for the outputs");
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Where the bytes are not of a message, what came before is looked at.
  inference::ModelInferRequest request;
  static_cast<void>(request.ParseFromArray(data, static_cast<int>(size)));
  const auto converted = ddgan::ConvertInfer(request);
  if (converted.ok()) {
    ddgan::CheckConverted(request, *converted);
  } else {
    ddgan::Require(absl::IsInvalidArgument(converted.status()) &&
                       ddgan::NamesField(converted.status()),
                   "a refused request is InvalidArgument and names the field");
  }
  return 0;
}
