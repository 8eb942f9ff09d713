// Writes a file so that a crash leaves the old one or the new one, whole. No
// LibTorch.
#ifndef DDGAN_TRAINER_DURABLE_FILE_H_
#define DDGAN_TRAINER_DURABLE_FILE_H_

#include <filesystem>
#include <string_view>

#include "absl/status/status.h"

namespace ddgan {

// Replaces `path` with `bytes`: hidden sibling, fsync, rename, fsync of the
// folder, which must exist. One writer at a time. On an error (the file
// system's, with the path) the old file is untouched and the sibling is gone.
absl::Status WriteFileDurably(const std::filesystem::path& path,
                              std::string_view bytes);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DURABLE_FILE_H_
