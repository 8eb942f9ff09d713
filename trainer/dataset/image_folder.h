// Image files in a folder or in a tar archive of one. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_IMAGE_FOLDER_H_
#define DDGAN_TRAINER_DATASET_IMAGE_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "trainer/dataset/encoded_images.h"

namespace ddgan {

// How far an archive has been read, for a line of progress.
struct ArchiveProgress {
  int64_t images;         // Found so far.
  uint64_t memory_bytes;  // Held for them.
};

struct ImageFolderOptions {
  // Bound on what the list of images holds, and with a gzipped archive on the
  // encoded images too. [1, 2^63)
  uint64_t max_memory_bytes = uint64_t{16} << 30;
  // Called after every 10,000 images of an archive and at its end, on the
  // thread that opens it. May be empty.
  std::function<void(const ArchiveProgress&)> progress;
};

// Whether a file of this relative path belongs to the set: it ends in .png,
// .jpg or .jpeg, in any case, and no part of it begins with a dot, as hidden
// files do and those that macOS adds to archives. "." and ".." do not count.
bool IsImagePath(std::string_view path);

// The images under `path`, ordered by their relative paths as bytes, so that
// the order is the same on every machine, and in a folder and an archive of it.
//   A folder   with all folders below it, at most 64 deep. Links to files are
//              followed if they lead to a file within the folder; links to
//              folders are not. A file is read when it is asked for.
//   A .tar     by content, not by name. Its headers are read once, images by
//              their offsets when they are asked for.
//   A .tar.gz  is unpacked into memory once: the encoded images, and nothing
//              beside them, stay there.
// Of two members of an archive with one path, the later counts, as it would
// when unpacked. An image of more than kMaxEncodedBytes is in the list, but
// damaged. Files that change while they are used give other images or errors.
//   NotFound           nothing is at `path`, or no image in it
//   InvalidArgument    `path` is neither a folder nor a file
//   DataLoss           a file, but no tar archive, or a damaged one
//   ResourceExhausted  over max_memory_bytes, or folders too deep
//   another            a folder or file cannot be read, as the system says
absl::StatusOr<std::unique_ptr<EncodedImages>> OpenImageFolder(
    const std::filesystem::path& path, const ImageFolderOptions& options = {});

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_IMAGE_FOLDER_H_
