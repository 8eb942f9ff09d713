#include "trainer/evaluation/features/growing_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"

namespace ddgan {

absl::StatusOr<GrowingFile> GrowingFile::Open(
    const std::filesystem::path& path) {
  // Non-blocking, so that a FIFO of that name does not hang the reader.
  const int descriptor =
      open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
           0644);
  if (descriptor < 0) return PathError(errno, "open", path);
  GrowingFile file(path, descriptor);
  struct stat info;
  if (fstat(descriptor, &info) != 0) return PathError(errno, "examine", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), " is no regular file"));
  }
  return file;
}

GrowingFile::GrowingFile(GrowingFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      mapped_(std::exchange(other.mapped_, nullptr)),
      mapped_bytes_(other.mapped_bytes_) {}

GrowingFile::~GrowingFile() {
  Unmap();
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status GrowingFile::Lock() {
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return PathError(errno, "lock", path_);
  return absl::UnavailableError(
      absl::StrCat(path_.string(), " is in use by another process"));
}

void GrowingFile::Unlock() { flock(descriptor_, LOCK_UN); }

absl::StatusOr<uint64_t> GrowingFile::Size() const {
  struct stat info;
  if (fstat(descriptor_, &info) != 0) return PathError(errno, "examine", path_);
  return static_cast<uint64_t>(info.st_size);
}

absl::StatusOr<std::string> GrowingFile::ReadAll(uint64_t max_bytes) const {
  const absl::StatusOr<uint64_t> size = Size();
  if (!size.ok()) return size.status();
  if (*size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(path_.string(), " has ",
                                                   *size, " bytes; at most ",
                                                   max_bytes, " are allowed"));
  }
  std::string bytes(*size, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = pread(descriptor_, bytes.data() + done,
                                bytes.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return PathError(errno, "read", path_);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

absl::Status GrowingFile::Write(uint64_t offset, std::string_view bytes) {
  Unmap();
  absl::Status status;
  size_t done = 0;
  while (status.ok() && done < bytes.size()) {
    const ssize_t count =
        pwrite(descriptor_, bytes.data() + done, bytes.size() - done,
               static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) status = PathError(errno, "write", path_);
    done += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
  if (status.ok() && fdatasync(descriptor_) != 0) {
    status = PathError(errno, "sync", path_);
  }
  if (!status.ok()) Truncate(offset).IgnoreError();
  return status;
}

absl::Status GrowingFile::Truncate(uint64_t size) {
  Unmap();
  if (ftruncate(descriptor_, static_cast<off_t>(size)) == 0) {
    return absl::OkStatus();
  }
  return PathError(errno, "shorten", path_);
}

absl::StatusOr<std::string_view> GrowingFile::Map(uint64_t bytes) {
  if (bytes > mapped_bytes_) {
    Unmap();
    void* const mapped =
        mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor_, 0);
    if (mapped == MAP_FAILED) return PathError(errno, "map", path_);
    mapped_ = mapped;
    mapped_bytes_ = bytes;
  }
  return std::string_view(static_cast<const char*>(mapped_), bytes);
}

void GrowingFile::Unmap() {
  if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
  mapped_ = nullptr;
  mapped_bytes_ = 0;
}

}  // namespace ddgan
