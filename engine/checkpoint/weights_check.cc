#include "engine/checkpoint/weights_check.h"

#include <cstring>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/strict_json.h"

namespace ddgan {
namespace {

constexpr size_t kMaxNamed = 4;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// True if a float with all exponent bits set is among them. Word is the
// float's bits.
template <typename Word>
bool HasNonFinite(std::string_view data, Word exponent_mask) {
  bool found = false;
  // Without an early exit, so that the compiler can use vectors.
  for (size_t i = 0; i + sizeof(Word) <= data.size(); i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, data.data() + i, sizeof(Word));
    found |= (word & exponent_mask) == exponent_mask;
  }
  return found;
}

// A part of a tensor's data; other dtypes have been refused.
bool HasNonFinite(DType dtype, std::string_view data) {
  return dtype == DType::kFloat32 ? HasNonFinite<uint32_t>(data, 0x7f800000u)
                                  : HasNonFinite<uint16_t>(data, 0x7c00u);
}

}  // namespace

absl::Status CheckTensorShapes(const std::vector<TensorShape>& tensors,
                               const GeneratorPlan& plan) {
  std::map<std::string_view, const std::vector<int64_t>*> found;
  for (const TensorShape& tensor : tensors) found[tensor.name] = &tensor.shape;

  std::vector<std::string> differences;
  for (const ParameterPlan& wanted : plan.parameters) {
    const auto it = found.find(wanted.name);
    if (it == found.end()) {
      differences.push_back(absl::StrCat(wanted.name, " is missing"));
      continue;
    }
    if (*it->second != wanted.shape) {
      differences.push_back(
          absl::StrCat(wanted.name, " has shape ", ShapeText(*it->second),
                       ", the config wants ", ShapeText(wanted.shape)));
    }
    found.erase(it);
  }
  for (const TensorShape& tensor : tensors) {
    if (found.count(tensor.name) != 0) {
      differences.push_back(absl::StrCat(Abbreviated(tensor.name),
                                         " is not part of this generator"));
    }
  }
  if (differences.empty()) return absl::OkStatus();
  const size_t more =
      differences.size() > kMaxNamed ? differences.size() - kMaxNamed : 0;
  differences.resize(differences.size() - more);
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(differences, "; "),
                   more > 0 ? absl::StrCat("; and ", more, " more") : ""));
}

absl::Status CheckWeights(const SafetensorsView& weights,
                          const GeneratorPlan& plan, StopCheck stopped) {
  std::vector<TensorShape> shapes;
  for (const TensorView& tensor : weights.tensors)
    shapes.push_back({tensor.name, tensor.shape});
  if (auto status = CheckTensorShapes(shapes, plan); !status.ok())
    return status;
  for (const TensorView& tensor : weights.tensors) {
    if (tensor.dtype != DType::kFloat32 && tensor.dtype != DType::kFloat16) {
      return absl::InvalidArgumentError(
          absl::StrCat(tensor.name, " has dtype ", DTypeName(tensor.dtype),
                       "; F32 and F16 are allowed"));
    }
    for (std::string_view rest = tensor.data; !rest.empty();) {
      if (auto status = CheckStop(stopped); !status.ok()) return status;
      const std::string_view part = rest.substr(0, kStopCheckBytes);
      rest.remove_prefix(part.size());
      if (HasNonFinite(tensor.dtype, part)) {
        return absl::InvalidArgumentError(
            absl::StrCat(tensor.name, " holds an infinity or NaN"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace ddgan
