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
// Everything read is taken as hostile until checked; files are read without
// following symbolic links. This header brings the names and folders of the
// format (version_folder.h) and its two JSON files (checkpoint_json.h).
#ifndef DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_
#define DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/checkpoint/checkpoint_json.h"
#include "engine/checkpoint/version_folder.h"

namespace ddgan {

// Larger files are refused before they are read.
inline constexpr uint64_t kMaxJsonBytes = uint64_t{1} << 20;
inline constexpr uint64_t kMaxWeightsBytes = uint64_t{8} << 30;

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
// Thread-safe.
absl::StatusOr<Checkpoint> ReadCheckpoint(
    const std::filesystem::path& model_root, const std::string& model,
    int64_t version);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_CHECKPOINT_FORMAT_H_
