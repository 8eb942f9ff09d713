#include "client/command_line/guide_file.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/file_start.h"

namespace ddgan {

absl::StatusOr<std::string> ReadGuideFile(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadFileStart(
      path, kMaxGuideBytes + 1, absl::StrCat("cannot read ", path));
  if (!bytes.ok()) return bytes;
  if (bytes->size() > kMaxGuideBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is larger than ", kMaxGuideBytes,
                     " bytes, the most that a guide may have"));
  }
  if (!absl::StartsWith(*bytes, "\x89PNG\r\n\x1a\n")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no PNG file, which a guide has to be"));
  }
  return bytes;
}

}  // namespace ddgan
