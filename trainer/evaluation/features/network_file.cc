#include "trainer/evaluation/features/network_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/folder.h"
#include "engine/base/sha256.h"

namespace ddgan {

absl::StatusOr<NetworkFile> ReadNetworkFile(const std::filesystem::path& path,
                                            uint64_t max_bytes) {
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(path.string(), ": ", status.message()));
  };
  // A name alone is one in the working folder.
  const std::filesystem::path full = std::filesystem::path(".") / path;
  const absl::StatusOr<Folder> folder = Folder::Open(full.parent_path());
  if (!folder.ok()) return named(folder.status());
  absl::StatusOr<std::string> bytes =
      folder->ReadFile(full.filename().string(), max_bytes);
  if (!bytes.ok()) return named(bytes.status());
  NetworkFile file;
  file.path = path.string();
  file.digest = Sha256Hex(*bytes);
  file.bytes = *std::move(bytes);
  return file;
}

absl::Status CheckDigest(const NetworkFile& file, const std::string& wanted) {
  if (file.digest == wanted) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      file.path, ": its SHA-256 is ", file.digest, ", must be ", wanted));
}

}  // namespace ddgan
