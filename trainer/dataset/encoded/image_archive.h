// The picture files of one archive. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_IMAGE_ARCHIVE_H_
#define DDGAN_TRAINER_DATASET_ENCODED_IMAGE_ARCHIVE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trainer/dataset/encoded/folder_walk.h"
#include "trainer/dataset/encoded/set_report.h"

namespace ddgan {

// Thread-safe.
class ImageArchive {
 public:
  struct Image {
    std::string path;    // In the archive, without "./" before it.
    uint64_t place = 0;  // What only the archive understands.
    uint64_t size = 0;   // Bytes.
  };

  virtual ~ImageArchive() = default;

  // As EncodedImages::Read, of an image that this archive gave.
  //   Unavailable  the archive on disk is not the one that was opened
  virtual absl::StatusOr<std::string_view> Read(const Image& image,
                                                std::string* scratch) const = 0;
};

// What one archive holds.
struct OpenedArchive {
  std::unique_ptr<ImageArchive> archive;
  std::vector<ImageArchive::Image> images;  // In the archive's order.
};

// How far an archive has been read, for a line of progress.
struct ArchiveProgress {
  int64_t images;         // Found so far.
  uint64_t memory_bytes;  // Held for them.
};

struct ArchiveOptions {
  // Both outlive the call.
  MemoryBudget* budget;
  SetReport* report;
  // Called after every 10,000 images. May be empty.
  std::function<void(const ArchiveProgress&)> progress;
  // Whether the picture of this path is of the set; it reports those that are
  // not, which are neither listed nor kept in memory. Empty: all are.
  std::function<bool(const std::string& path)> is_of_set = nullptr;
};

// Told by their content, not by their names:
//   tar    its headers are read once, images by their offsets when they are
//          asked for
//   tar, compressed by gzip, xz, bzip2 or Zstandard: unpacked once; the encoded
//          images, and nothing beside them, stay in memory
//   zip    its directory is read once, images when they are asked for, one at a
//          time; stored or deflated, not encrypted
// Links in a tar are followed to the files of the archive: hard links to a file
// before them, symbolic links to any by its path from the link's folder. Of a
// compressed tar they must lead to a picture by its name that is of the set,
// since nothing else was kept. A picture of more than kMaxEncodedBytes is in
// the list, but damaged.
//   DataLoss           no archive of these, or a damaged one
//   ResourceExhausted  over the budget, or over what UnpackedFile allows
//   another            as the file system says
// Messages begin with the path.
absl::StatusOr<OpenedArchive> OpenImageArchive(
    const std::filesystem::path& path, const ArchiveOptions& options);

// One kind, for OpenImageArchive and its tests.
absl::StatusOr<OpenedArchive> OpenTarImages(const std::filesystem::path& path,
                                            const ArchiveOptions& options);
absl::StatusOr<OpenedArchive> OpenZipImages(const std::filesystem::path& path,
                                            const ArchiveOptions& options);

// What Read says of a picture that is larger than kMaxEncodedBytes.
absl::Status TooLargeToRead(uint64_t size);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_IMAGE_ARCHIVE_H_
