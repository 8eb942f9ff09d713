// Names in the model directory, and what can be said of its folders without
// reading their files. No LibTorch. All functions are thread-safe.
#ifndef DDGAN_ENGINE_CHECKPOINT_VERSION_FOLDER_H_
#define DDGAN_ENGINE_CHECKPOINT_VERSION_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ddgan {

inline constexpr char kConfigFileName[] = "config.json";
inline constexpr char kWeightsFileName[] = "model.safetensors";
inline constexpr char kManifestFileName[] = "manifest.json";

inline constexpr size_t kMaxModelNameBytes = 64;

// True for a name that may stand as <model>.
bool IsModelName(std::string_view name);
// Nothing for a name that is no version.
std::optional<int64_t> ParseVersionName(std::string_view name);

// Models with at least one version folder, sorted; links do not count. NotFound
// if `model_root` is not a folder.
absl::StatusOr<std::vector<std::string>> ListModelNames(
    const std::filesystem::path& model_root);
// Versions with a manifest, newest first; also those where a symbolic link
// stands for the folder or the manifest, which ReadCheckpoint refuses by name.
// NotFound as above.
absl::StatusOr<std::vector<int64_t>> ListVersions(
    const std::filesystem::path& model_root, const std::string& model);

// Which files make up a version just now, without reading them: any two of
// these that are equal were taken of the same bytes, unless somebody set back
// clocks.
struct VersionFiles {
  // Of all three files: device, inode, size, times of change; and which folder.
  std::string fingerprint;
  uint64_t weights_bytes = 0;  // As the file system has it.

  friend bool operator==(const VersionFiles&, const VersionFiles&) = default;
};
// Never fails: a file that is absent or no regular file is so in the
// fingerprint, too.
VersionFiles ExamineVersion(const std::filesystem::path& model_root,
                            const std::string& model, int64_t version);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_VERSION_FOLDER_H_
