#include "trainer/import/weights_source.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/folder.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/import/pickle_values.h"
#include "trainer/import/pth_file.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

// A half's bits as a float's. Every half is a float.
uint32_t FloatOfHalf(uint16_t half) {
  constexpr uint32_t kHalfExponent = 0x1f;
  const uint32_t sign = uint32_t{half} >> 15 << 31;
  uint32_t exponent = half >> 10 & kHalfExponent;
  uint32_t fraction = half & 0x3ff;
  if (exponent == kHalfExponent) {  // Infinity or NaN.
    return sign | 0x7f800000u | fraction << 13;
  }
  if (exponent == 0) {
    if (fraction == 0) return sign;
    // 0.fraction * 2^-14, which a float has as 1.something.
    exponent = 1;
    while ((fraction & 0x400) == 0) {
      fraction <<= 1;
      --exponent;
    }
    fraction &= 0x3ff;
  }
  constexpr uint32_t kBiasDifference = 127 - 15;
  return sign | (exponent + kBiasDifference) << 23 | fraction << 13;
}

// Counts tensors by the type they were widened from.
class Widener {
 public:
  absl::StatusOr<std::string> Widen(const std::string& name, std::string values,
                                    DType dtype) {
    absl::StatusOr<std::string> floats = WidenToFloat(std::move(values), dtype);
    if (!floats.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", pickle::Printable(name), "\" ",
                       floats.status().message()));
    }
    if (dtype != DType::kFloat32) ++widened_[dtype];
    return floats;
  }

  void AddRemarks(std::vector<std::string>* remarks) const {
    for (const auto& [dtype, count] : widened_) {
      remarks->push_back(absl::StrCat(count, " tensors of ", DTypeName(dtype),
                                      " are widened to F32"));
    }
  }

 private:
  std::map<DType, int> widened_;
};

class PthSource : public WeightsSource {
 public:
  explicit PthSource(PthFile file) : file_(std::move(file)) {
    for (const PickledTensor& tensor : file_.tensors()) {
      shapes_.push_back({tensor.name, tensor.shape});
    }
    if (!file_.wrapper().empty()) {
      remarks_.push_back(absl::StrCat(
          "the tensors lie under the key \"",
          pickle::Printable(file_.wrapper()),
          "\", where training scripts save a state_dict beside other things; "
          "those are passed over"));
    }
  }

  absl::StatusOr<std::vector<std::string>> ReadFloats() override {
    absl::StatusOr<std::vector<std::string>> values = file_.ReadTensors();
    if (!values.ok()) return values;
    Widener widener;
    for (size_t i = 0; i < values->size(); ++i) {
      absl::StatusOr<std::string> floats =
          widener.Widen(shapes_[i].name, std::move((*values)[i]),
                        file_.dtype(file_.tensors()[i]));
      if (!floats.ok()) return floats.status();
      (*values)[i] = *std::move(floats);
    }
    widener.AddRemarks(&remarks_);
    return values;
  }

 private:
  const PthFile file_;
};

class SafetensorsSource : public WeightsSource {
 public:
  // `view` is of `bytes`.
  SafetensorsSource(std::string path, std::unique_ptr<const std::string> bytes,
                    SafetensorsView view)
      : path_(std::move(path)),
        bytes_(std::move(bytes)),
        view_(std::move(view)) {
    for (const TensorView& tensor : view_.tensors) {
      shapes_.push_back({tensor.name, tensor.shape});
    }
  }

  absl::StatusOr<std::vector<std::string>> ReadFloats() override {
    std::vector<std::string> values;
    Widener widener;
    for (const TensorView& tensor : view_.tensors) {
      absl::StatusOr<std::string> floats =
          widener.Widen(tensor.name, std::string(tensor.data), tensor.dtype);
      if (!floats.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat(path_, ": ", floats.status().message()));
      }
      values.push_back(*std::move(floats));
    }
    widener.AddRemarks(&remarks_);
    return values;
  }

 private:
  const std::string path_;
  const std::unique_ptr<const std::string> bytes_;
  const SafetensorsView view_;
};

// Its header's length, and the first byte of it.
bool BeginsAsSafetensors(const fs::path& path) {
  char start[9] = {};
  std::ifstream(path, std::ios::binary).read(start, sizeof(start));
  return start[8] == '{';
}

absl::StatusOr<std::unique_ptr<WeightsSource>> OpenSafetensors(
    const fs::path& path) {
  // The operator's own file, which may be a link.
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return absl::ErrnoToStatus(error.value(), path.string());
  const absl::StatusOr<Folder> folder = Folder::Open(real.parent_path());
  if (!folder.ok()) return folder.status();
  absl::StatusOr<std::string> read =
      folder->ReadFile(real.filename().string(), kMaxWeightsBytes);
  if (!read.ok()) {
    return absl::Status(
        read.status().code(),
        absl::StrCat(path.string(), ": ", read.status().message()));
  }
  auto bytes = std::make_unique<const std::string>(*std::move(read));
  absl::StatusOr<SafetensorsView> view = ParseSafetensors(*bytes);
  if (!view.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), ": ", view.status().message()));
  }
  return std::make_unique<SafetensorsSource>(path.string(), std::move(bytes),
                                             *std::move(view));
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightsSource>> WeightsSource::Open(
    const std::filesystem::path& path) {
  if (BeginsAsSafetensors(path)) return OpenSafetensors(path);
  absl::StatusOr<PthFile> file = PthFile::Open(path);
  if (!file.ok()) return file.status();
  return std::make_unique<PthSource>(*std::move(file));
}

absl::StatusOr<std::string> WidenToFloat(std::string values, DType dtype) {
  if (dtype == DType::kFloat32) return values;
  if (dtype != DType::kFloat16 && dtype != DType::kBFloat16) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has dtype ", DTypeName(dtype), "; F32, F16 and BF16 are taken"));
  }
  std::string floats;
  floats.resize(values.size() * 2);
  for (size_t i = 0; i + 2 <= values.size(); i += 2) {
    uint16_t narrow;
    std::memcpy(&narrow, values.data() + i, sizeof(narrow));
    const uint32_t wide = dtype == DType::kBFloat16 ? uint32_t{narrow} << 16
                                                    : FloatOfHalf(narrow);
    std::memcpy(floats.data() + 2 * i, &wide, sizeof(wide));
  }
  return floats;
}

}  // namespace ddgan
