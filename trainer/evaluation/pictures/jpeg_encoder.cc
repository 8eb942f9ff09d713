#include "trainer/evaluation/pictures/jpeg_encoder.h"

#include <csetjmp>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/dataset/encoded/jpeg_error.h"

namespace ddgan {
namespace {

constexpr int kMaxSide = 16384;

// libjpeg's objects, freed whichever way encoding ends.
class Encoder {
 public:
  Encoder() {
    info_.err = jpeg_std_error(&error_.manager);
    error_.manager.error_exit = JumpOnJpegError;
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() {
    jpeg_destroy_compress(&info_);
    std::free(buffer_);
  }

  // JumpOnJpegError jumps back into this frame: nothing in it needs a
  // destructor.
  bool Encode(const uint8_t* pixels, const ImageShape& shape, int quality) {
    if (setjmp(error_.jump) != 0) return false;
    jpeg_create_compress(&info_);
    jpeg_mem_dest(&info_, &buffer_, &size_);
    info_.image_height = static_cast<JDIMENSION>(shape.height);
    info_.image_width = static_cast<JDIMENSION>(shape.width);
    info_.input_components = shape.channels;
    info_.in_color_space = shape.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info_);
    jpeg_set_quality(&info_, quality, TRUE);
    jpeg_start_compress(&info_, TRUE);
    const size_t stride = size_t{1} * static_cast<size_t>(shape.width) *
                          static_cast<size_t>(shape.channels);
    while (info_.next_scanline < info_.image_height) {
      JSAMPROW row =
          const_cast<JSAMPROW>(pixels) + info_.next_scanline * stride;
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return true;
  }

  std::string bytes() const {
    return std::string(reinterpret_cast<const char*>(buffer_), size_);
  }

  absl::Status error() const {
    if (error_.out_of_memory) {
      return absl::ResourceExhaustedError("out of memory for a JPEG file");
    }
    return absl::InternalError(absl::StrCat("libjpeg: ", error_.message));
  }

 private:
  JpegError error_ = {};
  jpeg_compress_struct info_ = {};
  unsigned char* buffer_ = nullptr;
  unsigned long size_ = 0;  // NOLINT(google-runtime-int): libjpeg's.
};

}  // namespace

absl::StatusOr<std::string> EncodeJpeg(absl::Span<const uint8_t> pixels,
                                       const ImageShape& shape, int quality) {
  const auto side_is_valid = [](int side) {
    return side >= 1 && side <= kMaxSide;
  };
  if ((shape.channels != 1 && shape.channels != 3) ||
      !side_is_valid(shape.height) || !side_is_valid(shape.width) ||
      pixels.size() != size_t{1} * static_cast<size_t>(shape.channels) *
                           static_cast<size_t>(shape.height) *
                           static_cast<size_t>(shape.width)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a JPEG picture of ", shape.channels, "x", shape.height, "x",
        shape.width, " with ", pixels.size(),
        " bytes, must have 1 or 3 channels and as many bytes as it has pixels "
        "and channels"));
  }
  if (quality < 1 || quality > 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("quality is ", quality, ", must be in [1, 100]"));
  }
  Encoder encoder;
  if (!encoder.Encode(pixels.data(), shape, quality)) return encoder.error();
  return encoder.bytes();
}

}  // namespace ddgan
