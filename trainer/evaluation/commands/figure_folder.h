// The numbers that a figure is drawn from, in a folder: .npy files and a
// figure.json that says what is in them. trainer/evaluation/figures/ draws
// them. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_FIGURE_FOLDER_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_FIGURE_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"
#include "trainer/evaluation/session/measured_pictures.h"

namespace ddgan {

// The bytes of a NumPy file of format 1.0, in C order: "|u1" and "<f4". The
// product of `shape` is the number of values.
std::string NpyOfBytes(absl::Span<const uint8_t> values,
                       const std::vector<int64_t>& shape);
std::string NpyOfFloats(absl::Span<const float> values,
                        const std::vector<int64_t>& shape);

// Thread-compatible. figure.json is written last, so a folder that has one is
// whole. Its keys: kind, files (name to file, dtype and shape), model (name,
// version and digest; null for other pictures), sampler and evaluations (null
// where not known), seed, caption, and what else is added to json().
class FigureFolder {
 public:
  // Makes the folder with its parents and removes a figure.json that is there.
  // The file system's error.
  static absl::StatusOr<FigureFolder> Create(
      const std::filesystem::path& path, const std::string& kind,
      const std::optional<MeasuredVersion>& version, uint64_t seed);

  // Writes NAME.npy. The file system's error.
  absl::Status Add(const std::string& name, absl::Span<const uint8_t> values,
                   const std::vector<int64_t>& shape);
  absl::Status Add(const std::string& name, absl::Span<const float> values,
                   const std::vector<int64_t>& shape);
  // Writes another file, which is not in figure.json.
  absl::Status AddFile(const std::string& name, const std::string& bytes);

  nlohmann::ordered_json& json() { return json_; }

  // `caption` is a sentence for a person. The file system's error.
  absl::Status Finish(const std::string& caption);

 private:
  FigureFolder(std::filesystem::path path, nlohmann::ordered_json json)
      : path_(std::move(path)), json_(std::move(json)) {}

  absl::Status AddNpy(const std::string& name, const char* dtype,
                      const std::vector<int64_t>& shape,
                      const std::string& bytes);

  std::filesystem::path path_;
  nlohmann::ordered_json json_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_FIGURE_FOLDER_H_
