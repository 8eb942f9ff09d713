// Files that belong together, read again and again: what to do about what is
// found in them.
#ifndef DDGAN_SERVER_ACCESS_FILE_RELOAD_H_
#define DDGAN_SERVER_ACCESS_FILE_RELOAD_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan {

// The content of a regular file, or of one that a link leads to.
// FailedPrecondition for anything else, and for more than `max_bytes`; else the
// file system's error. The message names the path.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          size_t max_bytes);

// Thread-compatible. Compares contents, not times: it makes no difference how
// the files were replaced, by links to another folder as Kubernetes does it, by
// renaming, or in place.
class FileReload {
 public:
  // Gets the contents in the order of the paths, and either puts them in force
  // or says why they cannot be.
  using Take =
      std::function<absl::Status(const std::vector<std::string>& contents)>;

  FileReload(std::vector<std::string> paths, size_t max_bytes, Take take);

  // The first time, when there is nothing yet to go on with.
  absl::Status Load();

  enum class Outcome {
    kUnchanged,
    kTaken,
    kRefused,  // What was there before stays in force.
  };
  struct Result {
    Outcome outcome = Outcome::kUnchanged;
    absl::Status why;  // Of kRefused.
  };

  // Contents that are good are taken at once. Bad ones are refused only when
  // they are found a second time in a row, and once: the first time they may be
  // half written, or one file may be the new one and the other still the old.
  Result Poll();

  // From a Poll that refused the files until one that takes them, or finds the
  // contents that are in force: also while others that are bad take their
  // place.
  bool refused() const { return refused_; }

 private:
  // Of all files, or why one of them could not be read.
  absl::StatusOr<std::vector<std::string>> ReadAll() const;

  const std::vector<std::string> paths_;
  const size_t max_bytes_;
  const Take take_;
  std::vector<std::string> in_force_;
  // What was found last, if that was bad.
  std::optional<absl::StatusOr<std::vector<std::string>>> bad_;
  bool bad_was_reported_ = false;
  bool refused_ = false;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_FILE_RELOAD_H_
