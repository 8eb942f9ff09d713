// Writes WebP files with libwebp, for tests.
#ifndef DDGAN_TESTS_TRAINER_DATASET_WEBP_FILE_H_
#define DDGAN_TESTS_TRAINER_DATASET_WEBP_FILE_H_

#include <webp/encode.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/api/generation.h"

namespace ddgan {

// Rows of RGB, or of RGBA with 4 `channels`. Lossless unless `quality` > 0.
inline std::string WebpFile(const std::vector<uint8_t>& rows, int height,
                            int width, int channels, float quality = 0) {
  uint8_t* bytes = nullptr;
  const int stride = width * channels;
  const size_t size =
      channels == 3
          ? (quality > 0 ? WebPEncodeRGB(rows.data(), width, height, stride,
                                         quality, &bytes)
                         : WebPEncodeLosslessRGB(rows.data(), width, height,
                                                 stride, &bytes))
          : WebPEncodeLosslessRGBA(rows.data(), width, height, stride, &bytes);
  if (size == 0) std::abort();
  std::string file(reinterpret_cast<const char*>(bytes), size);
  WebPFree(bytes);
  return file;
}

inline std::string WebpFile(const Picture& picture, float quality = 0) {
  return WebpFile(picture.pixels, picture.shape.height, picture.shape.width, 3,
                  quality);
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DATASET_WEBP_FILE_H_
