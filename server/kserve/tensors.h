// The tensors that every model has by the inference protocol.
#ifndef DDGAN_SERVER_KSERVE_TENSORS_H_
#define DDGAN_SERVER_KSERVE_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/generation.h"
#include "inference/v2.pb.h"

namespace ddgan {

// A tensor's first dimension is the number of images; the rest is about one.
// An input is described as [n, 1], since clients that know of batches leave out
// what has no other dimension; [n] is as good.
struct InputTensor {
  absl::string_view name;
  absl::string_view datatype;  // As metadata and requests have it.
  inference::DataType config_type;
  size_t element_bytes;
  bool required;
};
inline constexpr InputTensor kSeedTensor = {
    .name = "seed",
    .datatype = "UINT64",
    .config_type = inference::TYPE_UINT64,
    .element_bytes = 8,
    .required = true};
inline constexpr InputTensor kIndexTensor = {
    .name = "index",
    .datatype = "UINT32",
    .config_type = inference::TYPE_UINT32,
    .element_bytes = 4,
    .required = false};
inline constexpr InputTensor kInputTensors[] = {kSeedTensor, kIndexTensor};

struct OutputTensor {
  absl::string_view name;
  absl::string_view datatype;
  inference::DataType config_type;
  v1::OutputFormat format;  // What an image's part of it is.
};
absl::Span<const OutputTensor> OutputTensors();
// Null if there is none.
const OutputTensor* OutputNamed(absl::string_view name);
// `format` is not OUTPUT_FORMAT_UNSPECIFIED.
const OutputTensor& OutputOf(v1::OutputFormat format);

// Of the part of one image.
std::vector<int64_t> DimensionsOf(const OutputTensor& output,
                                  const ImageShape& shape);

// A name from a request, for a sentence: in quotes, and cut if it is long.
std::string Quoted(absl::string_view name);

}  // namespace ddgan

#endif  // DDGAN_SERVER_KSERVE_TENSORS_H_
