// Turns a checkpoint of the published layout into a model version that the
// server loads. No LibTorch, and no pickled code is run.
#ifndef DDGAN_TRAINER_IMPORT_CHECKPOINT_IMPORT_H_
#define DDGAN_TRAINER_IMPORT_CHECKPOINT_IMPORT_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {

struct ImportedVersion {
  ModelIdentity identity;
  // A sentence on each thing that was taken off or changed: a wrapper, what
  // stood before all names, types that were widened. For a person.
  std::vector<std::string> remarks;
};

// Reads netG_<epoch>.pth, or a safetensors file of the same names
// (weights_source.h), and publishes its weights as float32 under `config` as
// <model_root>/<config.model>/<version>/. What all names begin with before the
// generator's own is taken off, such as "module." or "_orig_mod.".
// InvalidArgument if the file's tensors are not exactly those that `config`
// describes: the message names the first that differ, and the architecture that
// the file seems to have. Else fails as WeightsSource and PublishCheckpoint do.
absl::StatusOr<ImportedVersion> ImportCheckpoint(
    const std::filesystem::path& file, const std::filesystem::path& model_root,
    int64_t version, const CheckpointConfig& config);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_CHECKPOINT_IMPORT_H_
