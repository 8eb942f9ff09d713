#include "trainer/dataset/encoded/image_archive.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "trainer/dataset/encoded/file_bytes.h"
#include "trainer/dataset/encoded/image_decoder.h"

namespace ddgan {

absl::StatusOr<OpenedArchive> OpenImageArchive(
    const std::filesystem::path& path, const ArchiveOptions& options) {
  // Of the first file in it, or of the end of an empty one.
  constexpr std::string_view kZipStart = "PK\x03\x04";
  constexpr std::string_view kEmptyZip = "PK\x05\x06";
  const auto named = [&path](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(path.string(), ": ", status.message()));
  };
  const absl::StatusOr<FileBytes> file = FileBytes::Open(path);
  if (!file.ok()) return named(file.status());
  if (file->size() >= kZipStart.size()) {
    std::string start;
    if (absl::Status s = file->Read(0, kZipStart.size(), &start); !s.ok()) {
      return named(s);
    }
    if (start == kZipStart || start == kEmptyZip) {
      return OpenZipImages(path, options);
    }
  }
  return OpenTarImages(path, options);
}

absl::Status TooLargeToRead(uint64_t size) {
  return absl::DataLossError(
      absl::StrCat(size, " bytes, allowed are at most ", kMaxEncodedBytes));
}

}  // namespace ddgan
