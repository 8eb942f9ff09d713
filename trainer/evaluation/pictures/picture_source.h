// Where pictures to be measured come from: a model, a server, a folder or a
// data set, behind one interface. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_PICTURE_SOURCE_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_PICTURE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"

namespace ddgan {

// Numbered pictures of one shape: picture i is the same whenever it is asked
// for, so that work which was interrupted goes on. Thread-compatible.
class PictureSource {
 public:
  virtual ~PictureSource() = default;

  // What the pictures are, for a person and as a key: two sources with equal
  // descriptions have equal pictures.
  virtual const std::string& description() const = 0;
  virtual const ImageShape& shape() const = 0;
  // How many there are, at least 1. A model has 2^32.
  virtual int64_t size() const = 0;

  // Pictures first, ..., first + count - 1, [count, S, S, C]: interleaved rows,
  // 8 bits. Ascending calls are cheap; others may not be. Blocks.
  //   InvalidArgument  count < 1, or beyond size()
  //   what the place that they come from fails with
  virtual absl::StatusOr<std::vector<uint8_t>> Pictures(int64_t first,
                                                        int64_t count) = 0;
};

// Of one picture.
inline size_t PictureBytes(const ImageShape& shape) {
  return size_t{1} * static_cast<size_t>(shape.channels) *
         static_cast<size_t>(shape.height) * static_cast<size_t>(shape.width);
}

// InvalidArgument unless [first, first + count) lies in [0, size).
absl::Status CheckPictureRange(int64_t first, int64_t count, int64_t size);

// "1x32x32": channels, height, width.
std::string ShapeText(const ImageShape& shape);

// What goes between a picture and its features.
enum class PictureCoding {
  kPng,     // Nothing: PNG is lossless.
  kJpeg75,  // Through JPEG as libjpeg writes it at its default quality of 75,
            // chroma halved both ways: as the DDGAN paper's published code
            // saved the pictures that it measured.
};

// "png" or "jpeg75".
const char* CodingName(PictureCoding coding);

// Replaces pictures of `shape` by what is left of them. Fails as libjpeg does.
absl::Status CodePictures(PictureCoding coding, const ImageShape& shape,
                          std::vector<uint8_t>* pictures);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_PICTURE_SOURCE_H_
