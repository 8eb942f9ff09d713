#include "engine/base/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/base/folder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

// One write() moves at most 2 GiB; smaller pieces keep the page cache moving.
constexpr size_t kWriteBytes = size_t{64} << 20;

absl::Status WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        write(descriptor, bytes.data(), std::min(bytes.size(), kWriteBytes));
    if (count < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, "write");
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  if (fsync(descriptor) != 0) return absl::ErrnoToStatus(errno, "fsync");
  return absl::OkStatus();
}

}  // namespace

absl::Status PathError(int error, const char* action, const fs::path& path) {
  return absl::ErrnoToStatus(
      error, absl::StrCat("cannot ", action, " ", path.string()));
}

absl::Status WriteNewFile(const fs::path& path, std::string_view bytes) {
  const int descriptor = open(
      path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor < 0) return PathError(errno, "create", path);
  absl::Status status = WriteAll(descriptor, bytes);
  // A network file system may report a full disk only here.
  if (close(descriptor) != 0 && status.ok())
    status = absl::ErrnoToStatus(errno, "close");
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("cannot write ", path.string(), ": ", status.message()));
}

absl::Status SyncFolder(const fs::path& path) {
  absl::StatusOr<Folder> folder = Folder::Open(path);
  if (!folder.ok()) return folder.status();
  if (fsync(folder->descriptor()) != 0) return PathError(errno, "sync", path);
  return absl::OkStatus();
}

absl::Status WriteFileDurably(const fs::path& path, std::string_view bytes) {
  const fs::path folder =
      path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path sibling =
      folder / absl::StrCat(".", path.filename().string(), ".partial");
  unlink(sibling.c_str());  // Of a writer that died.
  absl::Status status = WriteNewFile(sibling, bytes);
  if (status.ok() && rename(sibling.c_str(), path.c_str()) != 0)
    status = PathError(errno, "replace", path);
  if (!status.ok()) {
    unlink(sibling.c_str());
    return status;
  }
  return SyncFolder(folder);
}

absl::Status CheckWritable(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return PathError(error.value(), "create the folder", path);
  // A name of this process's own: several may check one folder at once.
  const fs::path probe = path / absl::StrCat(".writable-", getpid());
  unlink(probe.c_str());  // Of a check that died.
  absl::Status status = WriteNewFile(probe, "x");
  unlink(probe.c_str());
  return status;
}

}  // namespace ddgan
