// The safetensors file format: 8-byte little-endian header length, JSON header
// (dtype, shape, data_offsets per tensor, optional "__metadata__" of strings),
// raw data. No LibTorch. Thread-safe.
#ifndef DDGAN_ENGINE_CHECKPOINT_SAFETENSORS_H_
#define DDGAN_ENGINE_CHECKPOINT_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ddgan {

enum class DType { kBFloat16, kFloat16, kFloat32, kFloat64, kInt64, kUint8 };
int DTypeBytes(DType dtype);
const char* DTypeName(DType dtype);  // as in the file: "F32"

// A tensor inside a file's bytes, which must outlive it. Row-major.
struct TensorView {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;  // Empty for a scalar.
  std::string_view data;       // Little-endian.

  friend bool operator==(const TensorView&, const TensorView&) = default;
};

struct SafetensorsView {
  std::map<std::string, std::string> metadata;
  std::vector<TensorView> tensors;  // In order of their data.

  // Null if there is none.
  const TensorView* Find(std::string_view name) const;
};

// InvalidArgument, with the tensor's name where there is one, for anything that
// is not well-formed: header length past the end or over 100 MB, bad JSON,
// duplicate names, unknown dtype, negative or overflowing shapes, offsets that
// overlap, leave holes, pass the end or do not match shape and dtype.
absl::StatusOr<SafetensorsView> ParseSafetensors(std::string_view file);

// The file's bytes: tensors in the given order, header padded so that data is
// 8-byte aligned. InvalidArgument for duplicate names or data of the wrong
// size.
absl::StatusOr<std::string> SerializeSafetensors(
    const std::vector<TensorView>& tensors,
    const std::map<std::string, std::string>& metadata = {});

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_SAFETENSORS_H_
