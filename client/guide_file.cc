#include "client/guide_file.h"

#include <cerrno>
#include <cstdio>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

absl::StatusOr<std::string> ReadGuideFile(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  // One byte more than allowed tells a file that is too large, also where
  // nobody knows its size beforehand.
  std::string bytes(kMaxGuideBytes + 1, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  const int read_error = std::ferror(file) != 0 ? errno : 0;
  std::fclose(file);
  if (read_error != 0) {
    return absl::ErrnoToStatus(read_error, absl::StrCat("cannot read ", path));
  }
  if (bytes.size() > kMaxGuideBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is larger than ", kMaxGuideBytes,
                     " bytes, the most that a guide may have"));
  }
  if (!absl::StartsWith(bytes, "\x89PNG\r\n\x1a\n")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no PNG file, which a guide has to be"));
  }
  return bytes;
}

}  // namespace ddgan
