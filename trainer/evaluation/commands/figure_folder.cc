#include "trainer/evaluation/commands/figure_folder.h"

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/durable_file.h"

namespace ddgan {
namespace {

constexpr char kFigureFile[] = "figure.json";
// Magic, version and length of the header are before it; data begins at a
// multiple of 64.
constexpr size_t kPreamble = 10;
constexpr size_t kAlignment = 64;

std::string NpyHeader(const char* descr, const std::vector<int64_t>& shape) {
  std::string header = absl::StrCat(
      "{'descr': '", descr, "', 'fortran_order': False, 'shape': (",
      absl::StrJoin(shape, ", "), shape.size() == 1 ? ",), }" : "), }");
  const size_t unpadded = kPreamble + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header.push_back('\n');
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.push_back(static_cast<char>(header.size() & 0xff));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  return bytes + header;
}

std::string Npy(const char* descr, const std::vector<int64_t>& shape,
                const void* values, size_t bytes) {
  std::string file = NpyHeader(descr, shape);
  file.append(static_cast<const char*>(values), bytes);
  return file;
}

}  // namespace

std::string NpyOfBytes(absl::Span<const uint8_t> values,
                       const std::vector<int64_t>& shape) {
  return Npy("|u1", shape, values.data(), values.size());
}

std::string NpyOfFloats(absl::Span<const float> values,
                        const std::vector<int64_t>& shape) {
  return Npy("<f4", shape, values.data(), values.size() * sizeof(float));
}

absl::StatusOr<FigureFolder> FigureFolder::Create(
    const std::filesystem::path& path, const std::string& kind,
    const std::optional<MeasuredVersion>& version, uint64_t seed) {
  if (absl::Status s = CheckWritable(path); !s.ok()) return s;
  std::error_code error;
  std::filesystem::remove(path / kFigureFile, error);
  if (error) return PathError(error.value(), "remove", path / kFigureFile);
  nlohmann::ordered_json json;
  json["kind"] = kind;
  json["files"] = nlohmann::ordered_json::object();
  json["model"] = nullptr;
  json["sampler"] = nullptr;
  json["evaluations"] = nullptr;
  if (version.has_value()) {
    json["model"] = {{"name", version->identity.model},
                     {"version", version->identity.version},
                     {"digest", version->identity.digest}};
    if (!version->sampler.empty()) {
      json["sampler"] = version->sampler;
      json["evaluations"] = version->evaluations;
    }
  }
  json["seed"] = seed;
  return FigureFolder(path, std::move(json));
}

absl::Status FigureFolder::AddFile(const std::string& name,
                                   const std::string& bytes) {
  return WriteFileDurably(path_ / name, bytes);
}

absl::Status FigureFolder::AddNpy(const std::string& name, const char* dtype,
                                  const std::vector<int64_t>& shape,
                                  const std::string& bytes) {
  const std::string file = absl::StrCat(name, ".npy");
  json_["files"][name] = {{"file", file}, {"dtype", dtype}, {"shape", shape}};
  return AddFile(file, bytes);
}

absl::Status FigureFolder::Add(const std::string& name,
                               absl::Span<const uint8_t> values,
                               const std::vector<int64_t>& shape) {
  return AddNpy(name, "uint8", shape, NpyOfBytes(values, shape));
}

absl::Status FigureFolder::Add(const std::string& name,
                               absl::Span<const float> values,
                               const std::vector<int64_t>& shape) {
  return AddNpy(name, "float32", shape, NpyOfFloats(values, shape));
}

absl::Status FigureFolder::Finish(const std::string& caption) {
  json_["caption"] = caption;
  // A name from the command line may have bytes that are no UTF-8.
  return AddFile(kFigureFile,
                 json_.dump(2, ' ', /*ensure_ascii=*/false,
                            nlohmann::ordered_json::error_handler_t::replace) +
                     "\n");
}

}  // namespace ddgan
