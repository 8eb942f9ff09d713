// The picture that `ddgan generate --guide` starts from.
#ifndef DDGAN_CLIENT_COMMAND_LINE_GUIDE_FILE_H_
#define DDGAN_CLIENT_COMMAND_LINE_GUIDE_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace ddgan {

// Largest file that a server takes as a guide, in bytes.
inline constexpr size_t kMaxGuideBytes = size_t{1} << 20;

// The file's bytes. An error names the path and says what is wrong: it cannot
// be read, is larger than kMaxGuideBytes, or does not begin as a PNG file does.
// Whether the rest is one is the server's to say.
absl::StatusOr<std::string> ReadGuideFile(const std::string& path);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_GUIDE_FILE_H_
