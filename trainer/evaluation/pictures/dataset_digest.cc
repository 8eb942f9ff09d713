#include "trainer/evaluation/pictures/dataset_digest.h"

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
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

// What a set of this kind, which is not image_folder, may consist of.
std::vector<std::string> NamesOf(const std::string& kind) {
  std::vector<std::string> names;
  if (kind == "mnist" || kind == "stacked_mnist") {
    for (const char* part : {"train", "t10k"}) {
      for (const char* rest : {"-images-idx3-ubyte", "-labels-idx1-ubyte"}) {
        for (const char* packed : {"", ".gz"}) {
          names.push_back(absl::StrCat(part, rest, packed));
        }
      }
    }
  } else if (kind == "cifar10") {
    for (const char* folder : {"", "cifar-10-batches-bin/"}) {
      for (int batch = 1; batch <= 5; ++batch) {
        names.push_back(absl::StrCat(folder, "data_batch_", batch, ".bin"));
      }
      names.push_back(absl::StrCat(folder, "test_batch.bin"));
    }
  } else {
    names.push_back("data.mdb");
  }
  return names;
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

std::vector<NamedFile> FilesIn(const std::filesystem::path& root,
                               const std::string& kind) {
  std::vector<NamedFile> files;
  for (const std::string& name : NamesOf(kind)) {
    std::error_code ignored;  // What cannot be looked at is not there.
    if (std::filesystem::exists(root / name, ignored)) {
      files.emplace_back(name, root / name);
    }
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
    if (kind == "image_folder") {
      absl::StatusOr<std::vector<NamedFile>> found = PicturesBelow(path);
      if (!found.ok()) return found.status();
      files = *std::move(found);
    } else {
      files = FilesIn(path, kind);
    }
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
