// Reading files that a user names, which may be of any size or have no end.
#ifndef DDGAN_CLIENT_FILE_START_H_
#define DDGAN_CLIENT_FILE_START_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// The first `size` bytes of the file, or all of a smaller one. Asked for one
// byte more than allowed, it tells a file that is too large, also where nobody
// knows its size beforehand. Errors are the system's and begin with `what`.
absl::StatusOr<std::string> ReadFileStart(const std::string& path, size_t size,
                                          absl::string_view what);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_FILE_START_H_
