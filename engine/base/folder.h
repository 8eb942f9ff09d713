// An open folder whose contents may be hostile: names are resolved in it one
// at a time and never through a symbolic link, so nothing outside it is read,
// and what was opened stays what it was when someone renames around it.
#ifndef DDGAN_ENGINE_BASE_FOLDER_H_
#define DDGAN_ENGINE_BASE_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/base/stop_check.h"

namespace ddgan {

// Owns a file descriptor. Const methods are thread-safe.
class Folder {
 public:
  // Follows links in `path`, which is the operator's own. NotFound if it is not
  // a folder.
  static absl::StatusOr<Folder> Open(const std::filesystem::path& path);

  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&& other) noexcept;
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();

  // `name` is one path component: no separator, not "." or "..".
  //   NotFound         there is nothing of that name
  //   InvalidArgument  it is a symbolic link, or no folder
  absl::StatusOr<Folder> OpenFolder(const std::string& name) const;

  // The size of a regular file. Fails as ReadFile does.
  absl::StatusOr<uint64_t> FileSize(const std::string& name) const;

  // The bytes of a regular file, which is opened and read once.
  //   NotFound           there is nothing of that name
  //   InvalidArgument    a symbolic link, no regular file, or larger than
  //                      `max_bytes`, in which case nothing is read
  //   DataLoss           it shrank or grew while it was read
  //   ResourceExhausted  no memory for it
  //   Cancelled          `stopped`
  absl::StatusOr<std::string> ReadFile(const std::string& name,
                                       uint64_t max_bytes,
                                       StopCheck stopped = NeverStop) const;

  // Waits until nobody else, on any machine that shares the folder, has its
  // lock, and holds it until this object is gone. DeadlineExceeded if somebody
  // has it for longer than `patience`; the file system's error if it has no
  // locks.
  absl::Status Lock(absl::Duration patience = absl::InfiniteDuration()) const;

  int descriptor() const { return descriptor_; }

 private:
  explicit Folder(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_FOLDER_H_
