#include "trainer/evaluation/pictures/dataset_digest.h"

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "trainer/dataset/encoded/file_bytes.h"
#include "trainer/dataset/encoded/folder_walk.h"
#include "trainer/dataset/encoded/set_report.h"

namespace ddgan {
namespace {

constexpr uint64_t kChunk = uint64_t{16} << 20;
constexpr uint64_t kMaxListBytes = uint64_t{16} << 30;

// Relative and whole.
using NamedFile = std::pair<std::string, std::filesystem::path>;

bool BelongsTo(const std::string& kind, const std::string& name) {
  if (kind == "mnist" || kind == "stacked_mnist") {
    return absl::StrContains(name, "-ubyte");
  }
  if (kind == "cifar10") return absl::EndsWith(name, ".bin");
  if (kind == "lmdb") return absl::EndsWith(name, "data.mdb");
  return true;
}

// "<name>\0<size>\0" and the digest of each chunk, so that a file of any size
// needs the memory of one.
absl::Status AppendFile(const std::filesystem::path& path,
                        const std::string& name, std::string* record) {
  const auto failed = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(path.string(), ": ", status.message()));
  };
  const absl::StatusOr<FileBytes> file = FileBytes::Open(path);
  if (!file.ok()) return failed(file.status());
  absl::StrAppend(record, name, std::string(1, '\0'), file->size(),
                  std::string(1, '\0'));
  std::string bytes;
  for (uint64_t offset = 0; offset < file->size(); offset += kChunk) {
    const uint64_t size = std::min(kChunk, file->size() - offset);
    if (absl::Status s = file->Read(offset, size, &bytes); !s.ok()) {
      return failed(s);
    }
    absl::StrAppend(record, Sha256Hex(bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<NamedFile>> FilesBelow(
    const std::filesystem::path& root, const std::string& kind) {
  std::error_code error;
  std::vector<NamedFile> files;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk it(root, error), end; !error && it != end; it.increment(error)) {
    const std::string name =
        it->path().lexically_relative(root).generic_string();
    if (BelongsTo(kind, name) && it->is_regular_file(error)) {
      files.emplace_back(name, it->path());
    }
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat(root.string(), ": ", error.message()));
  }
  return files;
}

// As OpenImageFolder finds them: pictures, or else archives.
absl::StatusOr<std::vector<NamedFile>> PicturesBelow(
    const std::filesystem::path& root) {
  MemoryBudget budget(kMaxListBytes);
  SetReport report;
  const absl::StatusOr<FolderFiles> found = WalkFolder(root, &budget, &report);
  if (!found.ok()) return found.status();
  std::vector<NamedFile> files;
  for (const std::string& name :
       found->pictures.empty() ? found->archives : found->pictures) {
    files.emplace_back(name, root / name);
  }
  return files;
}

}  // namespace

absl::StatusOr<std::string> DatasetDigest(const std::filesystem::path& path,
                                          const std::string& kind) {
  std::error_code error;
  std::vector<NamedFile> files;
  if (std::filesystem::is_directory(path, error)) {
    absl::StatusOr<std::vector<NamedFile>> found =
        kind == "image_folder" ? PicturesBelow(path) : FilesBelow(path, kind);
    if (!found.ok()) return found.status();
    files = *std::move(found);
  } else if (std::filesystem::exists(path, error)) {
    files.emplace_back("", path);
  }
  if (files.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "--data is '", path.string(), "', where no file of ", kind, " is"));
  }
  std::sort(files.begin(), files.end());
  std::string record;
  for (const auto& [name, file] : files) {
    if (absl::Status s = AppendFile(file, name, &record); !s.ok()) return s;
  }
  return Sha256Hex(record);
}

}  // namespace ddgan
