#include "server/kserve/infer_conversion.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/kserve/input_tensors.h"
#include "server/kserve/tensors.h"

namespace ddgan {
namespace {

using Parameters =
    google::protobuf::Map<std::string, inference::InferParameter>;

// Of a request's priority; 0, which is none, and 1 are interactive.
constexpr uint64_t kBatchPriority = 2;

// About streams alone, but perf_analyzer has it in every request.
constexpr char kEmptyFinalResponse[] = "triton_enable_empty_final_response";

// An integer in [0, max], which clients send with or without a sign.
absl::StatusOr<uint64_t> ConvertInteger(
    const std::string& name, const inference::InferParameter& parameter,
    uint64_t max) {
  const auto refuse = [&](const auto& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("parameters: '", name, "': ", what, "; allowed are [0, ",
                     max, "], an integer"));
  };
  switch (parameter.parameter_choice_case()) {
    case inference::InferParameter::kInt64Param:
      if (parameter.int64_param() < 0) return refuse(parameter.int64_param());
      if (static_cast<uint64_t>(parameter.int64_param()) > max) {
        return refuse(parameter.int64_param());
      }
      return static_cast<uint64_t>(parameter.int64_param());
    case inference::InferParameter::kUint64Param:
      if (parameter.uint64_param() > max) {
        return refuse(parameter.uint64_param());
      }
      return parameter.uint64_param();
    default:
      return refuse("is not an integer");
  }
}

absl::Status ConvertParameters(const Parameters& parameters,
                               ConvertedInfer* converted) {
  for (const auto& [name, parameter] : parameters) {
    if (name == "timeout") {
      const absl::StatusOr<uint64_t> timeout =
          ConvertInteger(name, parameter, std::numeric_limits<int64_t>::max());
      if (!timeout.ok()) return timeout.status();
      if (*timeout > 0) {
        converted->timeout = absl::Microseconds(static_cast<int64_t>(*timeout));
      }
    } else if (name == "priority") {
      const absl::StatusOr<uint64_t> priority =
          ConvertInteger(name, parameter, kBatchPriority);
      if (!priority.ok()) return priority.status();
      if (*priority == kBatchPriority) {
        converted->request.generation.request_class = RequestClass::kBatch;
      }
    } else if (name != kEmptyFinalResponse) {
      return absl::InvalidArgumentError(
          absl::StrCat("parameters: ", Quoted(name),
                       " is not known here; there are timeout and priority"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::OutputFormat>> ConvertOutputs(
    const inference::ModelInferRequest& request) {
  std::vector<v1::OutputFormat> formats;
  for (const auto& output : request.outputs()) {
    const OutputTensor* const tensor = OutputNamed(output.name());
    if (tensor == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("outputs: ", Quoted(output.name()),
                       " is not an output; there are image, png and float32"));
    }
    if (!output.parameters().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "outputs '", output.name(),
          "': parameters: ", Quoted(output.parameters().begin()->first),
          " is not known here; there are none"));
    }
    if (std::find(formats.begin(), formats.end(), tensor->format) !=
        formats.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("outputs '", output.name(), "': is there twice"));
    }
    formats.push_back(tensor->format);
  }
  if (formats.empty()) {
    for (const OutputTensor& tensor : OutputTensors()) {
      formats.push_back(tensor.format);
    }
  }
  return formats;
}

void AppendSize(size_t size, std::string* to) {
  for (int byte = 0; byte < 4; ++byte) {
    to->push_back(static_cast<char>(size >> (8 * byte) & 0xff));
  }
}

}  // namespace

absl::StatusOr<ConvertedInfer> ConvertInfer(
    const inference::ModelInferRequest& request) {
  ConvertedInfer converted;
  converted.request.count_field = "inputs 'seed': shape[0]";
  GenerationRequest& generation = converted.request.generation;
  if (absl::Status status = CheckModelName(request.model_name(), "model_name");
      !status.ok()) {
    return status;
  }
  generation.model = request.model_name();
  const absl::StatusOr<std::optional<int64_t>> version =
      ConvertModelVersion("model_version", request.model_version());
  if (!version.ok()) return version.status();
  generation.version = *version;
  if (request.id().size() > kMaxInferIdBytes) {
    return absl::InvalidArgumentError(absl::StrCat("id: ", request.id().size(),
                                                   " bytes, allowed are [0, ",
                                                   kMaxInferIdBytes, "]"));
  }
  if (absl::Status status = ConvertParameters(request.parameters(), &converted);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<std::vector<v1::OutputFormat>> formats =
      ConvertOutputs(request);
  if (!formats.ok()) return formats.status();
  generation.pixel_format = PixelFormatFor(*formats);
  converted.request.formats = *std::move(formats);
  absl::StatusOr<std::vector<ImageNoise>> noise = ReadNoise(request);
  if (!noise.ok()) return noise.status();
  generation.count = static_cast<uint32_t>(noise->size());
  generation.noise = *std::move(noise);
  return converted;
}

absl::StatusOr<std::optional<int64_t>> ConvertModelVersion(
    absl::string_view field, const std::string& text) {
  if (text.empty()) return std::nullopt;
  int64_t version = 0;
  const bool digits = std::all_of(text.begin(), text.end(),
                                  [](char c) { return c >= '0' && c <= '9'; });
  if (digits && absl::SimpleAtoi(text, &version) && version >= 1) {
    return version;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": ", Quoted(text), " is not a decimal number in [1, ",
      std::numeric_limits<int64_t>::max(), "]"));
}

void FillInferHeader(const Acceptance& acceptance,
                     const ConvertedRequest& request, const std::string& id,
                     inference::ModelInferResponse* response) {
  response->set_model_name(acceptance.identity.model);
  response->set_model_version(absl::StrCat(acceptance.identity.version));
  response->set_id(id);
  const std::string digest = "checkpoint_digest";
  (*response->mutable_parameters())[digest].set_string_param(
      acceptance.identity.digest);
  for (const v1::OutputFormat format : request.formats) {
    const OutputTensor& tensor = OutputOf(format);
    auto* const output = response->add_outputs();
    output->set_name(std::string(tensor.name));
    output->set_datatype(std::string(tensor.datatype));
    output->add_shape(request.generation.count);
    for (const int64_t dimension : DimensionsOf(tensor, acceptance.shape)) {
      output->add_shape(dimension);
    }
  }
}

void FillInferContents(const ConvertedRequest& request,
                       std::vector<std::vector<std::string>> images,
                       inference::ModelInferResponse* response) {
  for (size_t i = 0; i < request.formats.size(); ++i) {
    const bool sized = request.formats[i] == v1::OUTPUT_FORMAT_PNG;
    size_t bytes = 0;
    for (const std::vector<std::string>& image : images) {
      bytes += image[i].size() + (sized ? 4 : 0);
    }
    std::string* const contents = response->add_raw_output_contents();
    contents->reserve(bytes);
    for (std::vector<std::string>& image : images) {
      if (sized) AppendSize(image[i].size(), contents);
      contents->append(image[i]);
      std::string().swap(image[i]);
    }
  }
}

}  // namespace ddgan
