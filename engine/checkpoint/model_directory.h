// The versions in the model directory: which there are, and one of them read
// and checked. The format is that of checkpoint_format.h. All functions are
// thread-safe; files are read without following symbolic links. No LibTorch.
#ifndef DDGAN_ENGINE_CHECKPOINT_MODEL_DIRECTORY_H_
#define DDGAN_ENGINE_CHECKPOINT_MODEL_DIRECTORY_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/base/stop_check.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "engine/model/generator_plan.h"
#include "engine/model/model_config.h"

namespace ddgan {

// Models with at least one version, sorted; a model that is a link does not
// count. NotFound if `model_root` is not a folder.
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

// What networks a version holds. By default those that a server runs.
struct CheckpointNetworks {
  // InvalidArgument for a config that is not one of theirs.
  absl::Status (*validate)(const ModelConfig&) = ValidateModelConfig;
  // Of a config that is valid; only the parameters are looked at.
  GeneratorPlan (*plan)(const ModelConfig&) = PlanGenerator;
};

// A version whose every byte was checked against its manifest, whose config is
// valid and whose weights file is well-formed and holds exactly the tensors of
// its networks, by name, shape and dtype (float32 or float16).
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
//   Cancelled          `stopped`
// Each message begins with the file's path below model_root. Sizes are checked
// before anything large is read: the weights' against manifest and config.
absl::StatusOr<Checkpoint> ReadCheckpoint(
    const std::filesystem::path& model_root, const std::string& model,
    int64_t version, StopCheck stopped = NeverStop,
    const CheckpointNetworks& networks = {});

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_MODEL_DIRECTORY_H_
