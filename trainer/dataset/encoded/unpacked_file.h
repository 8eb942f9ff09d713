// Reads a file that may or may not be compressed. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_UNPACKED_FILE_H_
#define DDGAN_TRAINER_DATASET_ENCODED_UNPACKED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ddgan {

// A file may unpack to this many times its own size, and to as much more as the
// second number says: pictures hardly shrink, so what grows further is no set
// of them. gzip cannot pass 1,032 times, xz and bzip2 pass 5,000.
inline constexpr uint64_t kMaxUnpackedTimes = 256;
inline constexpr uint64_t kMaxUnpackedBytes = uint64_t{1} << 30;

// A stream of the file's content: gzip, xz, bzip2 and Zstandard are told by
// their first bytes, whatever the file is called, and decompressed; any other
// file is its own content. Checksums are compared, those of gzip too, which
// libarchive leaves alone.
//
// Memory is bounded by the caller's buffer and the format's window, at most 1
// GiB for xz and 128 MiB for the others: nothing is decompressed ahead.
// Thread-compatible.
class UnpackedFile {
 public:
  // NotFound, PermissionDenied, ... as the file system says; DataLoss if what
  // begins like one of these formats is not.
  static absl::StatusOr<std::unique_ptr<UnpackedFile>> Open(
      const std::filesystem::path& path);

  ~UnpackedFile();

  // Fills `buffer` and returns how much of it was filled: less than all of it
  // only at the end of the content, 0 after it.
  //   DataLoss           naming the file: the compressed data are damaged, cut
  //                      short, or (gzip, xz) followed by something else
  //   ResourceExhausted  it unpacks to more than the bound above, or more
  //                      memory is wanted than there is
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer);

  // Goes `bytes` on in the content and returns how many it went: less than all
  // only at the end. A file that is not packed is not read for it. Fails as
  // Read does.
  absl::StatusOr<uint64_t> Skip(uint64_t bytes);

  // Whether the file is compressed; if not, its content is itself.
  bool packed() const;

 private:
  struct State;
  explicit UnpackedFile(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_UNPACKED_FILE_H_
