#include "server/kserve/input_tensors.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/kserve/tensors.h"

namespace ddgan {
namespace {

using Input = inference::ModelInferRequest::InferInputTensor;
using Elements = std::vector<uint64_t>;

constexpr size_t kMaxShownDimensions = 8;

template <typename... Parts>
absl::Status Refuse(const InputTensor& tensor, const Parts&... what) {
  return absl::InvalidArgumentError(
      absl::StrCat("inputs '", tensor.name, "': ", what...));
}

const InputTensor* InputNamed(absl::string_view name) {
  const auto found = std::find_if(
      std::begin(kInputTensors), std::end(kInputTensors),
      [name](const InputTensor& tensor) { return tensor.name == name; });
  return found == std::end(kInputTensors) ? nullptr : found;
}

// The number of elements.
absl::StatusOr<size_t> CheckShape(const InputTensor& tensor,
                                  const Input& input) {
  const auto& shape = input.shape();
  if ((shape.size() == 1 || (shape.size() == 2 && shape[1] == 1)) &&
      shape[0] >= 1 && shape[0] <= GenerationRequest::kMaxCount) {
    return static_cast<size_t>(shape[0]);
  }
  const auto shown =
      std::min(static_cast<size_t>(shape.size()), kMaxShownDimensions);
  return Refuse(tensor, "shape [",
                absl::StrJoin(shape.begin(), shape.begin() + shown, ","),
                shown < static_cast<size_t>(shape.size()) ? ",..." : "",
                "] is not [n] or [n,1] with n in [1, ",
                GenerationRequest::kMaxCount, "]");
}

// Of all of the lists.
size_t NumContents(const inference::InferTensorContents& contents) {
  return contents.bool_contents_size() + contents.int_contents_size() +
         contents.int64_contents_size() + contents.uint_contents_size() +
         contents.uint64_contents_size() + contents.fp32_contents_size() +
         contents.fp64_contents_size() + contents.bytes_contents_size();
}

Elements Decode(const std::string& bytes, size_t element_bytes) {
  Elements elements(bytes.size() / element_bytes);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<uint64_t>(static_cast<uint8_t>(bytes[i]));
    elements[i / element_bytes] |= byte << (8 * (i % element_bytes));
  }
  return elements;
}

// `raw`: the input's element of raw_input_contents; null if there are none.
absl::StatusOr<Elements> ReadElements(const InputTensor& tensor,
                                      const Input& input,
                                      const std::string* raw) {
  if (input.datatype() != tensor.datatype) {
    return Refuse(tensor, "datatype ", Quoted(input.datatype()), " is not ",
                  tensor.datatype);
  }
  if (!input.parameters().empty()) {
    return Refuse(tensor,
                  "parameters: ", Quoted(input.parameters().begin()->first),
                  " is not known here; there are none");
  }
  const absl::StatusOr<size_t> count = CheckShape(tensor, input);
  if (!count.ok()) return count.status();
  const inference::InferTensorContents& contents = input.contents();
  if (raw != nullptr) {
    if (NumContents(contents) > 0) {
      return Refuse(tensor,
                    "contents are not allowed beside raw_input_contents");
    }
    const size_t wanted = *count * tensor.element_bytes;
    if (raw->size() == wanted) return Decode(*raw, tensor.element_bytes);
    return Refuse(tensor, "raw_input_contents has ", raw->size(), " bytes; ",
                  *count, " elements of ", tensor.datatype, " take ", wanted);
  }
  const Elements elements = tensor.element_bytes == 8
                                ? Elements(contents.uint64_contents().begin(),
                                           contents.uint64_contents().end())
                                : Elements(contents.uint_contents().begin(),
                                           contents.uint_contents().end());
  if (elements.size() == *count && NumContents(contents) == *count) {
    return elements;
  }
  return Refuse(tensor, "contents has ", NumContents(contents), " elements, ",
                elements.size(), " of them ", tensor.datatype, "; wanted are ",
                *count);
}

}  // namespace

absl::StatusOr<std::vector<ImageNoise>> ReadNoise(
    const inference::ModelInferRequest& request) {
  const int raw_contents = request.raw_input_contents_size();
  if (raw_contents != 0 && raw_contents != request.inputs_size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "raw_input_contents: ", raw_contents,
        " elements; allowed are none or one for each of the inputs, ",
        request.inputs_size()));
  }
  std::optional<Elements> seeds;
  std::optional<Elements> indices;
  for (int i = 0; i < request.inputs_size(); ++i) {
    const Input& input = request.inputs(i);
    const InputTensor* const tensor = InputNamed(input.name());
    if (tensor == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("inputs: ", Quoted(input.name()),
                       " is not an input; there are seed and index"));
    }
    std::optional<Elements>& to =
        tensor->name == kSeedTensor.name ? seeds : indices;
    if (to.has_value()) return Refuse(*tensor, "is there twice");
    absl::StatusOr<Elements> elements = ReadElements(
        *tensor, input,
        raw_contents == 0 ? nullptr : &request.raw_input_contents(i));
    if (!elements.ok()) return elements.status();
    to = *std::move(elements);
  }
  if (!seeds.has_value()) return Refuse(kSeedTensor, "is missing");
  if (indices.has_value() && indices->size() != seeds->size()) {
    return Refuse(kIndexTensor, "is of ", indices->size(),
                  " images, but seed is of ", seeds->size());
  }
  std::vector<ImageNoise> noise(seeds->size());
  for (size_t i = 0; i < noise.size(); ++i) {
    noise[i].seed = (*seeds)[i];
    if (indices.has_value()) {
      noise[i].index = static_cast<uint32_t>((*indices)[i]);
    }
  }
  return noise;
}

}  // namespace ddgan
