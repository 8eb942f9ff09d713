// Writes a model version so that a reader never sees half of it: hidden
// sibling, fsync of each file, manifest last, fsync of the folder, rename,
// fsync of the parent (engine/checkpoint/checkpoint_format.h). Removes one the
// same way backwards. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_CHECKPOINT_PUBLISHER_H_
#define DDGAN_TRAINER_RUN_CHECKPOINT_PUBLISHER_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {

// Who will read a version.
enum class Readers {
  kServers,
  // Networks that no server runs, such as those of points in the plane: a
  // server refuses the version and says so.
  kNoServer,
};

// Publishes `weights` (the bytes of a safetensors file) as
// <model_root>/<config.model>/<version>/. Creates missing folders. Publishers
// of one model take turns, by a lock on its folder, and remove what one that
// died left behind; where the file system has no such locks (some network file
// systems), left-overs stay and no reader minds them. Blocks on the disk.
// Thread-safe.
//   AlreadyExists     that version is there
//   InvalidArgument   version < 1, a bad model name, or config or weights that
//                     a server would refuse, unless it is not for servers: all
//                     is checked before anything is written
//   ResourceExhausted, Internal, ...  the file system's error; nothing of the
//                     version is left, except when only the last fsync fails:
//                     then it is there, but a power cut may lose it
absl::StatusOr<ModelIdentity> PublishCheckpoint(
    const std::filesystem::path& model_root, int64_t version,
    const CheckpointConfig& config, std::string_view weights,
    Readers readers = Readers::kServers);

// Removes a published version. A reader sees all of it or nothing: it gets a
// hidden name first. Takes turns with publishers. Blocks on the disk.
// Thread-safe.
//   NotFound            it is not there
//   FailedPrecondition  what has its name is not that version: a link, a folder
//                       with other files than a version's three, or a manifest
//                       of another digest. It is left as it is.
//   the file system's error; the version may be there or not, but never half
absl::Status RemoveCheckpoint(const std::filesystem::path& model_root,
                              const ModelIdentity& identity);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_CHECKPOINT_PUBLISHER_H_
