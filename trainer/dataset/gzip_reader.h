// Reads a file that may or may not be gzipped. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_GZIP_READER_H_
#define DDGAN_TRAINER_DATASET_GZIP_READER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ddgan {

// A stream of the file's content, decompressed if the file starts with gzip's
// two magic bytes, whatever its name is. Unlike zlib's own gzread, bytes that
// follow the compressed data are an error, and so is an end in the middle.
// Memory is bounded by the caller's buffer: nothing is decompressed ahead.
// Thread-compatible.
class GzipReader {
 public:
  // NotFound, PermissionDenied, ... as the file system says.
  static absl::StatusOr<std::unique_ptr<GzipReader>> Open(
      const std::filesystem::path& path);

  ~GzipReader();

  // Fills `buffer` and returns how much of it was filled: less than all of it
  // only at the end of the content, 0 after it.
  // DataLoss, naming the file, if the compressed data are damaged, cut short,
  // or followed by something else.
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer);

  // Goes `bytes` on in the content and returns how many it went: less than all
  // only at the end. A file that is not gzipped is not read for it. Fails as
  // Read does.
  absl::StatusOr<uint64_t> Skip(uint64_t bytes);

  // Whether the file is gzip data; if not, its content is itself.
  bool gzipped() const;

 private:
  struct State;
  explicit GzipReader(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_GZIP_READER_H_
