// Where the images of `ddgan generate` go.
#ifndef DDGAN_CLIENT_COMMAND_LINE_OUTPUT_FILES_H_
#define DDGAN_CLIENT_COMMAND_LINE_OUTPUT_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// The file name in which %d stands for an image's index: `out` itself, or
// OUT/%d.EXTENSION if it is a folder, which a trailing slash or `out_is_folder`
// says. "-" is stdout. Pure.
// InvalidArgument if that is one name, or stdout, for several images, or as
// CheckExtension.
absl::StatusOr<std::string> OutputPattern(const std::string& out,
                                          bool out_is_folder, uint32_t count,
                                          const std::string& extension);

// InvalidArgument if `out` ends as a file of another kind than EXTENSION does,
// such as x.jpg for a PNG. Pure.
absl::Status CheckExtension(const std::string& out,
                            const std::string& extension);

// `pattern` with every %d replaced.
std::string OutputPath(const std::string& pattern, uint32_t index);

// FOLDER/SEED-INDEX-stepT.EXTENSION. Pure.
std::string PreviewPath(const std::string& folder, uint64_t seed,
                        uint32_t index, uint32_t step,
                        const std::string& extension);

// "-": the images go to stdout.
inline constexpr char kStandardOutput[] = "-";

// Whether WriteFile could open the file. Makes it and the folders above it if
// they are missing, and changes nothing of one that is there.
absl::Status CheckFileWritable(const std::string& path);

// Replaces the file if there is one. Makes the folders above it.
// An error names the path and what the file system said; no part of the file is
// left then.
absl::Status WriteFile(const std::string& path, absl::string_view bytes);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_OUTPUT_FILES_H_
