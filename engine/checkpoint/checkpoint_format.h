// The model directory: the contract between trainer and server. No LibTorch.
//
//   <model_root>/<model>/<version>/config.json        architecture, schedule,
//                                                     training step, provenance
//                                  model.safetensors  EMA generator weights
//                                  manifest.json      sha256 and size of both,
//                                                     written last
//
// <version> is a positive decimal without sign or leading zero that fits int64;
// larger is newer. A folder without a manifest is not there yet.
// All functions are thread-safe. Everything read is taken as hostile until
// checked; files are read without following symbolic links.
#ifndef DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_
#define DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/model/model_config.h"

namespace ddgan {

inline constexpr int kCheckpointFormatVersion = 1;
inline constexpr char kConfigFileName[] = "config.json";
inline constexpr char kWeightsFileName[] = "model.safetensors";
inline constexpr char kManifestFileName[] = "manifest.json";
// Larger files are refused before they are read.
inline constexpr uint64_t kMaxJsonBytes = uint64_t{1} << 20;
inline constexpr uint64_t kMaxWeightsBytes = uint64_t{8} << 30;

// config.json: the flat set of ModelConfig's names plus these. All required;
// any other key is refused.
struct CheckpointConfig {
  ModelConfig model_config;
  std::string model;          // [a-z0-9] then [a-z0-9._-]*, at most 64 bytes.
  int64_t training_step = 0;  // >= 0
  std::string dataset;
  std::string created;  // RFC 3339 UTC, e.g. 2026-11-24T04:00:00Z
  std::string trainer_version;

  friend bool operator==(const CheckpointConfig&,
                         const CheckpointConfig&) = default;
};

// InvalidArgument that names the key: unknown, missing, of the wrong type, out
// of range or unsupported. The result is valid (ValidateModelConfig).
absl::StatusOr<CheckpointConfig> ParseCheckpointConfig(std::string_view json);
std::string CheckpointConfigToJson(const CheckpointConfig& config);

// The same for an object with ModelConfig's names alone, of which any may be
// missing: those keep the value they have in `defaults`.
absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view json,
                                             const ModelConfig& defaults);

struct ManifestEntry {
  std::string sha256;  // 64 lower-case hex digits
  uint64_t size = 0;   // bytes

  friend bool operator==(const ManifestEntry&, const ManifestEntry&) = default;
};
struct Manifest {
  ManifestEntry config;   // config.json
  ManifestEntry weights;  // model.safetensors
};
// InvalidArgument that names the key: unknown, missing or malformed.
absl::StatusOr<Manifest> ParseManifest(std::string_view json);
std::string ManifestToJson(const Manifest& manifest);

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

// A version whose every byte was checked against its manifest, whose config is
// valid and whose weights file is well-formed and holds exactly the tensors of
// PlanGenerator(config), by name, shape and dtype (float32 or float16).
struct Checkpoint {
  ModelIdentity identity;
  CheckpointConfig config;
  std::string weights;  // The whole of model.safetensors.
};
//   NotFound         no such folder, or a file of it is missing
//   DataLoss         size or digest differ from the manifest, file truncated
//   InvalidArgument  manifest, config or weights do not fit this contract, the
//                    config names another model than the folder, or a symbolic
//                    link stands where a folder or file should
//   ResourceExhausted  no memory for the weights
// Each message begins with the file's path below model_root. Sizes are checked
// before anything large is read: the weights' against manifest and config.
absl::StatusOr<Checkpoint> ReadCheckpoint(
    const std::filesystem::path& model_root, const std::string& model,
    int64_t version);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_
