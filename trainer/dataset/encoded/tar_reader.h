// Walks through a tar archive, compressed or not. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_TAR_READER_H_
#define DDGAN_TRAINER_DATASET_ENCODED_TAR_READER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trainer/dataset/encoded/unpacked_file.h"

namespace ddgan {

// A regular file in an archive, or a link.
struct TarMember {
  enum class Kind {
    kFile,
    kHardLink,      // `target` is the path of an earlier member.
    kSymbolicLink,  // `target` is as a file system would have it.
  };
  Kind kind = Kind::kFile;
  // As the archive gives it, 1 to 4096 bytes of any value but 0. It is a name
  // to show and to compare, nothing to open: it may lead anywhere.
  std::string path;
  std::string target;   // Of a link; bounded and to be taken as `path` is.
  uint64_t size = 0;    // Bytes; 0 of a link.
  uint64_t offset = 0;  // Of its first byte in the unpacked archive.
};

// ustar and older, with GNU's long names and pax's `path`, `linkpath` and
// `size`. Folders, devices and other kinds of members are passed over, the data
// of an unknown kind with them. The archive ends at its first block of zeros;
// several archives one after the other are not read as one.
//
// Headers are not trusted: checksums and numbers are checked, and of names and
// pax records no more is held than 64 KiB at a time. (libarchive reads tars as
// well, but takes one that is cut between two members for whole.)
// Thread-compatible.
class TarReader {
 public:
  // As UnpackedFile::Open.
  static absl::StatusOr<std::unique_ptr<TarReader>> Open(
      const std::filesystem::path& path);

  // The next file or link, or nothing at the end of the archive, whose
  // compressed data are then checked to their end. What is left of the member
  // before is passed over: by seeking if the file is not compressed.
  //   DataLoss           naming the archive and the place: it is damaged, cut
  //                      short or no tar archive; then nothing more can be read
  //   ResourceExhausted  as UnpackedFile::Read
  absl::StatusOr<std::optional<TarMember>> Next();

  // The whole content of the member that Next returned, once. The caller has
  // looked at its size. Fails as Next does.
  absl::Status ReadContent(std::string* content);

  // Whether the archive is compressed; if not, offsets are those in the file.
  bool packed() const { return file_->packed(); }

 private:
  struct Header;

  TarReader(std::string path, std::unique_ptr<UnpackedFile> file);

  absl::Status Damaged(const std::string& what) const;
  absl::Status DamagedPath(const std::string& path) const;
  absl::Status ReadExactly(uint8_t* bytes, size_t size);
  absl::Status SkipExactly(uint64_t bytes);
  absl::StatusOr<std::optional<Header>> ReadHeader();
  absl::StatusOr<std::string> ReadExtension(const Header& header);

  const std::string path_;
  const std::unique_ptr<UnpackedFile> file_;
  uint64_t position_ = 0;  // In the unpacked archive.
  uint64_t content_ = 0;   // Bytes of the member that were not read yet.
  uint64_t padding_ = 0;   // Bytes between them and the next header.
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_TAR_READER_H_
