#include "engine/checkpoint/safetensors.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/strict_json.h"
#include "nlohmann/json.hpp"

namespace ddgan {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // As in the reference crate.
constexpr char kMetadataKey[] = "__metadata__";
constexpr size_t kDataAlignment = 8;

struct DTypeTraits {
  DType dtype;
  const char* name;
  int bytes;
};
constexpr DTypeTraits kDTypes[] = {
    {DType::kBFloat16, "BF16", 2}, {DType::kFloat16, "F16", 2},
    {DType::kFloat32, "F32", 4},   {DType::kFloat64, "F64", 8},
    {DType::kInt64, "I64", 8},     {DType::kUint8, "U8", 1},
};

const DTypeTraits& TraitsOf(DType dtype) {
  return *std::find_if(std::begin(kDTypes), std::end(kDTypes),
                       [&](const DTypeTraits& t) { return t.dtype == dtype; });
}

absl::Status TensorError(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor ", Abbreviated(name), ": ", what));
}

std::optional<uint64_t> Uint64FromJson(const json& value) {
  // The parser types what has no sign and no fraction, and fits, as unsigned.
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint64_t>();
}

// Nothing for a negative size or a product that does not fit.
std::optional<uint64_t> BytesOf(const std::vector<int64_t>& shape,
                                DType dtype) {
  uint64_t bytes = static_cast<uint64_t>(DTypeBytes(dtype));
  for (int64_t size : shape) {
    if (size < 0 ||
        __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes) ||
        bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return std::nullopt;
  }
  return bytes;
}

struct Span {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// One entry of the header, checked for itself; the caller checks the spans of
// all against each other.
absl::StatusOr<std::pair<TensorView, Span>> ParseEntry(const std::string& name,
                                                       const json& entry,
                                                       std::string_view data) {
  if (!entry.is_object()) return TensorError(name, "is not an object");
  for (const auto& item : entry.items()) {
    const std::string& key = item.key();
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      return TensorError(name, absl::StrCat("unknown key ", Abbreviated(key)));
  }
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!entry.contains(key))
      return TensorError(name, absl::StrCat("has no ", key));
  }
  TensorView tensor;
  tensor.name = name;

  const json& dtype = entry["dtype"];
  if (!dtype.is_string()) return TensorError(name, "dtype is not a string");
  const auto traits = std::find_if(
      std::begin(kDTypes), std::end(kDTypes), [&](const DTypeTraits& t) {
        return dtype.get_ref<const std::string&>() == t.name;
      });
  if (traits == std::end(kDTypes)) {
    return TensorError(name,
                       absl::StrCat("unknown dtype ", Abbreviated(dtype)));
  }
  tensor.dtype = traits->dtype;

  const json& shape = entry["shape"];
  if (!shape.is_array()) return TensorError(name, "shape is not a list");
  for (const json& size : shape) {
    const std::optional<uint64_t> value = Uint64FromJson(size);
    if (!value.has_value() ||
        *value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return TensorError(name, "shape has an entry that is no size");
    tensor.shape.push_back(static_cast<int64_t>(*value));
  }
  const std::optional<uint64_t> bytes = BytesOf(tensor.shape, tensor.dtype);
  if (!bytes.has_value())
    return TensorError(name, "shape is too large to be real");

  const json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2)
    return TensorError(name, "data_offsets is not a pair");
  const std::optional<uint64_t> begin = Uint64FromJson(offsets[0]);
  const std::optional<uint64_t> end = Uint64FromJson(offsets[1]);
  if (!begin.has_value() || !end.has_value() || *begin > *end)
    return TensorError(name, "data_offsets is not a range");
  if (*end > data.size()) {
    return TensorError(name, absl::StrCat("data ends at ", *end, " of ",
                                          data.size(), " bytes"));
  }
  if (*end - *begin != *bytes) {
    return TensorError(
        name, absl::StrCat("has ", *end - *begin,
                           " bytes of data, shape and dtype want ", *bytes));
  }
  tensor.data = data.substr(*begin, *bytes);
  return std::pair(std::move(tensor), Span{*begin, *end});
}

absl::StatusOr<std::map<std::string, std::string>> ParseMetadata(
    const json& metadata) {
  if (!metadata.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kMetadataKey, " is not an object"));
  }
  std::map<std::string, std::string> result;
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(
          kMetadataKey, ": ", Abbreviated(key), " is not a string"));
    }
    result[key] = value.get<std::string>();
  }
  return result;
}

}  // namespace

int DTypeBytes(DType dtype) { return TraitsOf(dtype).bytes; }
const char* DTypeName(DType dtype) { return TraitsOf(dtype).name; }

const TensorView* SafetensorsView::Find(std::string_view name) const {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(),
                   [&](const TensorView& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

absl::StatusOr<SafetensorsView> ParseSafetensors(std::string_view file) {
  if (file.size() < kLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("safetensors: ", file.size(),
                     " bytes are too few for the header's length"));
  }
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < kLengthBytes; ++i)
    header_bytes |= uint64_t{static_cast<unsigned char>(file[i])} << (8 * i);
  if (header_bytes > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("safetensors: a header of ", header_bytes,
                     " bytes; at most ", kMaxHeaderBytes, " are allowed"));
  }
  if (header_bytes > file.size() - kLengthBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "safetensors: the header ends at ", header_bytes + kLengthBytes, " of ",
        file.size(), " bytes"));
  }
  const std::string_view data = file.substr(kLengthBytes + header_bytes);
  absl::StatusOr<json> header =
      ParseStrictJson(file.substr(kLengthBytes, header_bytes));
  if (!header.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("safetensors header: ", header.status().message()));
  }
  if (!header->is_object())
    return absl::InvalidArgumentError("safetensors header: is not an object");

  SafetensorsView view;
  std::vector<std::pair<TensorView, Span>> entries;
  for (const auto& [name, entry] : header->items()) {
    if (name == kMetadataKey) {
      auto metadata = ParseMetadata(entry);
      if (!metadata.ok()) return metadata.status();
      view.metadata = *std::move(metadata);
      continue;
    }
    auto parsed = ParseEntry(name, entry, data);
    if (!parsed.ok()) return parsed.status();
    entries.push_back(*std::move(parsed));
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.second.begin, a.second.end, a.first.name) <
           std::tie(b.second.begin, b.second.end, b.first.name);
  });
  uint64_t expected = 0;
  for (auto& [tensor, span] : entries) {
    if (span.begin != expected) {
      return TensorError(
          tensor.name,
          absl::StrCat("data begins at ", span.begin, ", ",
                       span.begin < expected ? "inside" : "after a hole behind",
                       " what ends at ", expected));
    }
    expected = span.end;
    view.tensors.push_back(std::move(tensor));
  }
  if (expected != data.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("safetensors: ", data.size() - expected,
                     " bytes behind the last tensor"));
  }
  return view;
}

absl::StatusOr<std::string> SerializeSafetensors(
    const std::vector<TensorView>& tensors,
    const std::map<std::string, std::string>& metadata) {
  // Keeps the order of insertion, so that equal input gives equal bytes.
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    if (tensor.name == kMetadataKey)
      return TensorError(tensor.name, "the name is reserved");
    if (!names.insert(tensor.name).second)
      return TensorError(tensor.name, "the name appears twice");
    const std::optional<uint64_t> bytes = BytesOf(tensor.shape, tensor.dtype);
    if (bytes != tensor.data.size()) {
      return TensorError(tensor.name,
                         absl::StrCat("has ", tensor.data.size(),
                                      " bytes of data, which is not the size "
                                      "of its shape and dtype"));
    }
    nlohmann::ordered_json entry;
    entry["dtype"] = DTypeName(tensor.dtype);
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {offset, offset + *bytes};
    header.push_back({tensor.name, std::move(entry)});
    offset += *bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    return absl::InvalidArgumentError(
        "safetensors: a name or metadata is not valid UTF-8");
  }
  text.resize(
      (text.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment,
      ' ');
  if (text.size() > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("safetensors: a header of ", text.size(),
                     " bytes; at most ", kMaxHeaderBytes, " are allowed"));
  }
  std::string file;
  file.reserve(kLengthBytes + text.size() + offset);
  for (size_t i = 0; i < kLengthBytes; ++i)
    file.push_back(static_cast<char>(uint64_t{text.size()} >> (8 * i)));
  file += text;
  for (const TensorView& tensor : tensors) file += tensor.data;
  return file;
}

}  // namespace ddgan
