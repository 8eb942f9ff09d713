// A file that grows at its end, by whole pieces: written at a place of the
// caller's choice, made durable, mapped. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_GROWING_FILE_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_GROWING_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan {

// Thread-compatible. Errors are the file system's and name the path.
class GrowingFile {
 public:
  // Opens or makes it; the folder must exist. InvalidArgument if it is no
  // regular file. Follows no link of that name.
  static absl::StatusOr<GrowingFile> Open(const std::filesystem::path& path);

  GrowingFile(GrowingFile&& other) noexcept;
  GrowingFile& operator=(GrowingFile&&) = delete;
  ~GrowingFile();

  // Unavailable if another has it locked. Held until Unlock, or until this
  // is destroyed.
  absl::Status Lock();
  void Unlock();

  absl::StatusOr<uint64_t> Size() const;

  // All of it. InvalidArgument if that is more than `max_bytes`.
  absl::StatusOr<std::string> ReadAll(uint64_t max_bytes) const;

  // Durable when it returns. After an error the file ends at `offset`, if the
  // file system still lets that happen. What was mapped is invalid.
  absl::Status Write(uint64_t offset, std::string_view bytes);

  absl::Status Truncate(uint64_t size);

  // The first `bytes` of it, aligned to a page: they are valid until the next
  // call that is not const. The file is at least that long, and whoever
  // shortens it without asking for the lock ends this process.
  absl::StatusOr<std::string_view> Map(uint64_t bytes);

 private:
  GrowingFile(std::filesystem::path path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}

  void Unmap();

  std::filesystem::path path_;
  int descriptor_;
  void* mapped_ = nullptr;
  uint64_t mapped_bytes_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_GROWING_FILE_H_
