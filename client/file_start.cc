#include "client/file_start.h"

#include <cerrno>
#include <cstdio>

#include "absl/status/status.h"

namespace ddgan {

absl::StatusOr<std::string> ReadFileStart(const std::string& path, size_t size,
                                          absl::string_view what) {
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return absl::ErrnoToStatus(errno, what);
  std::string bytes(size, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  const int read_error = std::ferror(file) != 0 ? errno : 0;
  std::fclose(file);
  if (read_error != 0) return absl::ErrnoToStatus(read_error, what);
  return bytes;
}

}  // namespace ddgan
