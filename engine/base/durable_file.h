// Files that survive a crash whole: the one place that writes and syncs. No
// LibTorch. Thread-safe, for different paths.
#ifndef DDGAN_ENGINE_BASE_DURABLE_FILE_H_
#define DDGAN_ENGINE_BASE_DURABLE_FILE_H_

#include <filesystem>
#include <string_view>

#include "absl/status/status.h"

namespace ddgan {

// The file system's error `error` (an errno): "cannot <action> <path>: ...".
absl::Status PathError(int error, const char* action,
                       const std::filesystem::path& path);

// Creates `path`, writes `bytes` and syncs them. AlreadyExists if anything, a
// link included, has that name; else the file system's error.
absl::Status WriteNewFile(const std::filesystem::path& path,
                          std::string_view bytes);

// Makes what was created, renamed or removed in the folder `path` durable.
absl::Status SyncFolder(const std::filesystem::path& path);

// Replaces `path` with `bytes`: a crash leaves the old file or the new one,
// whole. Hidden sibling, rename, sync of the folder, which must exist. One
// writer at a time. On an error before the rename the old file is untouched and
// the sibling is gone.
absl::Status WriteFileDurably(const std::filesystem::path& path,
                              std::string_view bytes);

// Whether files can be made in the folder `path`, which is created with its
// parents where it is missing: hours of work should not end at the first file.
// Leaves nothing in it. The file system's error, with the path, if not.
absl::Status CheckWritable(const std::filesystem::path& path);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_DURABLE_FILE_H_
