#include "trainer/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

absl::Status WriteAndSync(int fd, std::string_view bytes,
                          const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, absl::StrCat("writing ", path));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(fd) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("syncing ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteFileDurably(const std::filesystem::path& path,
                              std::string_view bytes) {
  const std::filesystem::path folder =
      path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const std::filesystem::path sibling =
      folder / absl::StrCat(".", path.filename().string(), ".partial");
  const int fd =
      open(sibling.c_str(),
           O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("creating ", sibling.string()));
  }
  absl::Status status = WriteAndSync(fd, bytes, sibling.string());
  close(fd);
  if (status.ok() && rename(sibling.c_str(), path.c_str()) != 0) {
    status =
        absl::ErrnoToStatus(errno, absl::StrCat("renaming to ", path.string()));
  }
  if (!status.ok()) {
    unlink(sibling.c_str());
    return status;
  }
  const int folder_fd =
      open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd >= 0) {
    fsync(folder_fd);
    close(folder_fd);
  }
  return absl::OkStatus();
}

}  // namespace ddgan
