#include "server/access/file_reload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          size_t max_bytes) {
  const std::string action = absl::StrCat("cannot read ", path);
  // Does not block where a pipe waits for a writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, action);
  const absl::Cleanup close_file = [fd] { close(fd); };
  struct stat about;
  if (fstat(fd, &about) != 0) return absl::ErrnoToStatus(errno, action);
  if (!S_ISREG(about.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(action, ": it is no regular file"));
  }
  // One byte more than allowed tells a file that is too large, also one that
  // grows.
  std::string bytes(max_bytes + 1, '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = read(fd, &bytes[size], bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, action);
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > max_bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat(action, ": it has more than ", max_bytes, " bytes"));
  }
  bytes.resize(size);
  return bytes;
}

FileReload::FileReload(std::vector<std::string> paths, size_t max_bytes,
                       Take take)
    : paths_(std::move(paths)), max_bytes_(max_bytes), take_(std::move(take)) {}

absl::Status FileReload::Load() {
  absl::StatusOr<std::vector<std::string>> found = ReadAll();
  if (!found.ok()) return found.status();
  if (absl::Status status = take_(*found); !status.ok()) return status;
  in_force_ = *std::move(found);
  return absl::OkStatus();
}

FileReload::Result FileReload::Poll() {
  absl::StatusOr<std::vector<std::string>> found = ReadAll();
  absl::Status status = found.status();
  if (status.ok()) {
    if (*found == in_force_) {
      bad_.reset();
      refused_ = false;
      return {};
    }
    // Also what was refused before: a certificate may have become valid.
    status = take_(*found);
    if (status.ok()) {
      in_force_ = *std::move(found);
      bad_.reset();
      refused_ = false;
      return {Outcome::kTaken, absl::OkStatus()};
    }
  }
  const bool seen_before = bad_.has_value() && *bad_ == found;
  if (!seen_before) {
    bad_ = std::move(found);
    bad_was_reported_ = false;
    return {};
  }
  if (std::exchange(bad_was_reported_, true)) return {};
  refused_ = true;
  return {Outcome::kRefused, std::move(status)};
}

absl::StatusOr<std::vector<std::string>> FileReload::ReadAll() const {
  std::vector<std::string> contents;
  for (const std::string& path : paths_) {
    absl::StatusOr<std::string> content = ReadSmallFile(path, max_bytes_);
    if (!content.ok()) return content.status();
    contents.push_back(*std::move(content));
  }
  return contents;
}

}  // namespace ddgan
