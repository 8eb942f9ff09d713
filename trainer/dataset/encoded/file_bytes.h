// Pieces of files, for images that are read one at a time. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_FILE_BYTES_H_
#define DDGAN_TRAINER_DATASET_ENCODED_FILE_BYTES_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan {

// An open regular file. Const methods are thread-safe.
class FileBytes {
 public:
  // The file system's error, which does not name the path; InvalidArgument if
  // it is no regular file. Never waits, as opening a pipe would.
  static absl::StatusOr<FileBytes> Open(const std::filesystem::path& path);

  FileBytes(FileBytes&& other) noexcept;
  FileBytes& operator=(FileBytes&&) = delete;
  ~FileBytes();

  // When it was opened.
  uint64_t size() const { return size_; }

  // Replaces `bytes` by the `size` bytes from `offset` on. The caller has
  // checked `size` against what it can hold. DataLoss if the file is shorter;
  // else the file system's error.
  absl::Status Read(uint64_t offset, size_t size, std::string* bytes) const;

 private:
  FileBytes(int descriptor, uint64_t size)
      : descriptor_(descriptor), size_(size) {}

  int descriptor_;
  uint64_t size_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_FILE_BYTES_H_
