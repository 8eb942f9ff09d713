#include "server/kserve/tensors.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr OutputTensor kOutputTensors[] = {
    {.name = "image",
     .datatype = "UINT8",
     .config_type = inference::TYPE_UINT8,
     .format = v1::OUTPUT_FORMAT_RAW8},
    {.name = "png",
     .datatype = "BYTES",
     .config_type = inference::TYPE_STRING,
     .format = v1::OUTPUT_FORMAT_PNG},
    {.name = "float32",
     .datatype = "FP32",
     .config_type = inference::TYPE_FP32,
     .format = v1::OUTPUT_FORMAT_FLOAT32},
};

}  // namespace

absl::Span<const OutputTensor> OutputTensors() { return kOutputTensors; }

const OutputTensor* OutputNamed(absl::string_view name) {
  const auto found = std::find_if(
      std::begin(kOutputTensors), std::end(kOutputTensors),
      [name](const OutputTensor& output) { return output.name == name; });
  return found == std::end(kOutputTensors) ? nullptr : found;
}

const OutputTensor& OutputOf(v1::OutputFormat format) {
  return *std::find_if(
      std::begin(kOutputTensors), std::end(kOutputTensors),
      [format](const OutputTensor& output) { return output.format == format; });
}

std::vector<int64_t> DimensionsOf(const OutputTensor& output,
                                  const ImageShape& shape) {
  switch (output.format) {
    case v1::OUTPUT_FORMAT_RAW8:
      return {shape.height, shape.width, shape.channels};
    case v1::OUTPUT_FORMAT_FLOAT32:
      return {shape.channels, shape.height, shape.width};
    default:
      return {};
  }
}

std::string Quoted(absl::string_view name) {
  constexpr size_t kMaxShown = 64;
  return absl::StrCat("'", name.substr(0, kMaxShown),
                      name.size() > kMaxShown ? "..." : "", "'");
}

}  // namespace ddgan
