// config.json and manifest.json of a version, as structs and as text. No
// LibTorch. All functions are thread-safe; text is taken as hostile.
#ifndef DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_JSON_H_
#define DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_JSON_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/model/model_config.h"

namespace ddgan {

inline constexpr int kCheckpointFormatVersion = 1;

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

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_JSON_H_
