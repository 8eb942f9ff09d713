// Turns a checkpoint of the published layout into a model version that the
// server loads. No LibTorch, and no pickled code is run.
#ifndef DDGAN_TRAINER_IMPORT_CHECKPOINT_IMPORT_H_
#define DDGAN_TRAINER_IMPORT_CHECKPOINT_IMPORT_H_

#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {

// Reads netG_<epoch>.pth (names with or without "module.") and publishes its
// weights under `config` as <model_root>/<config.model>/<version>/.
// InvalidArgument if the file's tensors are not exactly those that `config`
// describes: the message names the first that differ, and the architecture that
// the file seems to have. Else fails as PthFile and PublishCheckpoint do.
absl::StatusOr<ModelIdentity> ImportCheckpoint(
    const std::filesystem::path& pth_file,
    const std::filesystem::path& model_root, int64_t version,
    const CheckpointConfig& config);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_CHECKPOINT_IMPORT_H_
