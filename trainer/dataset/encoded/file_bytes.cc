#include "trainer/dataset/encoded/file_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ddgan {

absl::StatusOr<FileBytes> FileBytes::Open(const std::filesystem::path& path) {
  const int descriptor =
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, "cannot open");
  FileBytes file(descriptor, 0);
  struct stat info;
  if (fstat(descriptor, &info) != 0) {
    return absl::ErrnoToStatus(errno, "cannot look at");
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError("no regular file");
  }
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

FileBytes::FileBytes(FileBytes&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

FileBytes::~FileBytes() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status FileBytes::Read(uint64_t offset, size_t size,
                             std::string* bytes) const {
  bytes->resize(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t read = pread(descriptor_, bytes->data() + done, size - done,
                               static_cast<off_t>(offset + done));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return absl::ErrnoToStatus(errno, "cannot read");
    if (read == 0) return absl::DataLossError("the file is cut short");
    done += static_cast<size_t>(read);
  }
  return absl::OkStatus();
}

}  // namespace ddgan
