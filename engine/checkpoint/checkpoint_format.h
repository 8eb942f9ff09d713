// The files of a model version: the contract between trainer and server, who
// meet in the model directory (model_directory.h). No LibTorch.
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
// checked.
#ifndef DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_
#define DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/model/model_config.h"

namespace ddgan {

inline constexpr int kCheckpointFormatVersion = 1;
inline constexpr char kConfigFileName[] = "config.json";
inline constexpr char kWeightsFileName[] = "model.safetensors";
inline constexpr char kManifestFileName[] = "manifest.json";
// Larger files are refused before they are read.
inline constexpr uint64_t kMaxJsonBytes = uint64_t{1} << 20;
inline constexpr uint64_t kMaxWeightsBytes = uint64_t{8} << 30;

// config.json: the flat set of ModelConfig's names plus these. Any other key is
// refused, and all are required but two: "objective" and "sampler" are written
// only where they are not "adversarial" and "ancestral", so that a version that
// has no need of them stays readable for earlier servers.
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
// of range or unsupported. `validate` says whether the numbers of the networks
// make sense; by default they must be those of networks that a server runs.
absl::StatusOr<CheckpointConfig> ParseCheckpointConfig(
    std::string_view json,
    absl::FunctionRef<absl::Status(const ModelConfig&)> validate =
        ValidateModelConfig);
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

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_
