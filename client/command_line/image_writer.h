// Where the images of `ddgan generate` go as they come: a file each, one grid,
// or stdout.
#ifndef DDGAN_CLIENT_COMMAND_LINE_IMAGE_WRITER_H_
#define DDGAN_CLIENT_COMMAND_LINE_IMAGE_WRITER_H_

#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/command_line/command_line.h"
#include "ddgan/v1/image_generation.pb.h"

namespace ddgan {

// Takes the images as they come, in any order of index. Thread-compatible.
class ImageWriter {
 public:
  virtual ~ImageWriter() = default;
  virtual absl::Status Add(const v1::GeneratedImage& image,
                           const v1::ImageShape& shape) = 0;
  // After the last image. Returns where they are, for the summary.
  virtual absl::StatusOr<std::string> Finish() = 0;
};

// What `command` asks for. With --out=- the bytes go to `out_stream`, which
// must outlive the writer. InvalidArgument as OutputPattern; nothing is written
// yet.
absl::StatusOr<std::unique_ptr<ImageWriter>> CreateImageWriter(
    const GenerateCommand& command, std::ostream& out_stream);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_IMAGE_WRITER_H_
