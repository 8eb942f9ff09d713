#include "engine/base/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/base/monotonic_clock.h"

namespace ddgan {
namespace {

bool IsOneComponent(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

bool IsSymbolicLink(int folder, const std::string& name) {
  struct stat info;
  return fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISLNK(info.st_mode);
}

// Why openat() of `name` in `folder` failed.
absl::Status OpenError(int error, int folder, const std::string& name) {
  if (error == ENOENT) return absl::NotFoundError("no such file or folder");
  if (IsSymbolicLink(folder, name)) {
    return absl::InvalidArgumentError(
        "is a symbolic link, and links are not followed here");
  }
  if (error == ENOTDIR) return absl::InvalidArgumentError("is not a folder");
  return absl::ErrnoToStatus(error, "cannot be opened");
}

// An open regular file and its size.
struct OpenFile {
  OpenFile() = default;
  OpenFile(OpenFile&& other) noexcept
      : descriptor(std::exchange(other.descriptor, -1)), size(other.size) {}
  ~OpenFile() {
    if (descriptor >= 0) close(descriptor);
  }

  int descriptor = -1;
  uint64_t size = 0;
};

absl::StatusOr<OpenFile> OpenRegularFile(int folder, const std::string& name) {
  if (!IsOneComponent(name))
    return absl::InvalidArgumentError("is not a file's name");
  OpenFile file;
  // Non-blocking, so that a FIFO of that name does not hang the reader.
  file.descriptor = openat(folder, name.c_str(),
                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file.descriptor < 0) return OpenError(errno, folder, name);
  struct stat info;
  if (fstat(file.descriptor, &info) != 0)
    return absl::ErrnoToStatus(errno, "cannot be examined");
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError("is not a regular file");
  file.size = static_cast<uint64_t>(info.st_size);
  return file;
}

}  // namespace

absl::StatusOr<Folder> Folder::Open(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) return Folder(descriptor);
  if (errno == ENOENT || errno == ENOTDIR) {
    return absl::NotFoundError(absl::StrCat(path.string(), " is not a folder"));
  }
  return absl::ErrnoToStatus(errno,
                             absl::StrCat("cannot open ", path.string()));
}

Folder::Folder(Folder&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

Folder& Folder::operator=(Folder&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

absl::Status Folder::Lock(absl::Duration patience) const {
  const absl::Time give_up = RealMonotonicClock()->Now() + patience;
  while (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) {
      return absl::ErrnoToStatus(errno, "cannot lock the folder");
    }
    if (RealMonotonicClock()->Now() >= give_up) {
      return absl::DeadlineExceededError(
          absl::StrCat("another process keeps the folder locked for longer "
                       "than ",
                       absl::FormatDuration(patience)));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::OkStatus();
}

Folder::~Folder() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::StatusOr<Folder> Folder::OpenFolder(const std::string& name) const {
  if (!IsOneComponent(name))
    return absl::InvalidArgumentError("is not a folder's name");
  const int descriptor =
      openat(descriptor_, name.c_str(),
             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return OpenError(errno, descriptor_, name);
  return Folder(descriptor);
}

absl::StatusOr<uint64_t> Folder::FileSize(const std::string& name) const {
  absl::StatusOr<OpenFile> file = OpenRegularFile(descriptor_, name);
  if (!file.ok()) return file.status();
  return file->size;
}

absl::StatusOr<std::string> Folder::ReadFile(const std::string& name,
                                             uint64_t max_bytes,
                                             StopCheck stopped) const {
  absl::StatusOr<OpenFile> file = OpenRegularFile(descriptor_, name);
  if (!file.ok()) return file.status();
  if (file->size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has ", file->size, " bytes; at most ", max_bytes, " are allowed"));
  }
  // One byte more, to see whether the file grew since its size was taken.
  const size_t wanted = file->size + 1;
  std::string bytes;
  try {
    bytes.reserve(wanted);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for its ", file->size, " bytes"));
  }
  size_t done = 0;
  while (done < wanted) {
    if (auto status = CheckStop(stopped); !status.ok()) return status;
    // Grown part by part, since to fill it with zeros takes time, too.
    bytes.resize(std::min(wanted, done + kStopCheckBytes));
    const ssize_t count =
        read(file->descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, "cannot be read");
    }
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  if (done != file->size)
    return absl::DataLossError("changed its size while it was read");
  bytes.resize(done);
  return bytes;
}

}  // namespace ddgan
