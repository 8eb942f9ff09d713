// Writes JPEG files with libjpeg, for tests.
#ifndef DDGAN_TESTS_TRAINER_DATASET_JPEG_FILE_H_
#define DDGAN_TESTS_TRAINER_DATASET_JPEG_FILE_H_

// jpeglib.h needs size_t and FILE.
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/api/generation.h"

namespace ddgan {

// `color_space` is of `pixels`, interleaved rows: JCS_GRAYSCALE, JCS_RGB or
// JCS_CMYK. Without subsampling of chroma.
inline std::string JpegFile(const std::vector<uint8_t>& pixels, int height,
                            int width, J_COLOR_SPACE color_space,
                            bool progressive = false) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's.
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_height = static_cast<JDIMENSION>(height);
  info.image_width = static_cast<JDIMENSION>(width);
  info.in_color_space = color_space;
  info.input_components = color_space == JCS_GRAYSCALE ? 1
                          : color_space == JCS_CMYK    ? 4
                                                       : 3;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  for (int c = 0; c < info.num_components; ++c) {
    info.comp_info[c].h_samp_factor = info.comp_info[c].v_samp_factor = 1;
  }
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  const size_t stride = size_t{1} * width * info.input_components;
  while (info.next_scanline < info.image_height) {
    JSAMPROW row =
        const_cast<JSAMPROW>(pixels.data()) + info.next_scanline * stride;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<const char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

inline std::string JpegFile(const Picture& picture, bool progressive = false) {
  return JpegFile(picture.pixels, picture.shape.height, picture.shape.width,
                  picture.shape.channels == 1 ? JCS_GRAYSCALE : JCS_RGB,
                  progressive);
}

// A gradient, of which JPEG keeps every value to within a few levels.
inline Picture Gradient(int channels, int height, int width) {
  Picture picture;
  picture.shape = {channels, height, width};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        picture.pixels.push_back(static_cast<uint8_t>(
            40 + 60 * c + 60 * y / height + 30 * x / width));
      }
    }
  }
  return picture;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DATASET_JPEG_FILE_H_
