// Writes small IDX files and gzip data, sound and broken ones, for tests.
#ifndef DDGAN_TESTS_TRAINER_DATASET_IDX_FILE_H_
#define DDGAN_TESTS_TRAINER_DATASET_IDX_FILE_H_

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace ddgan {

inline std::string BigEndian32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string IdxHeader(uint32_t magic, uint32_t count, uint32_t rows,
                             uint32_t columns) {
  return BigEndian32(magic) + BigEndian32(count) + BigEndian32(rows) +
         BigEndian32(columns);
}

// The pixel that DigitFile() stores; never 0, so padding can be told apart.
inline uint8_t DigitPixel(int image, int y, int x) {
  return static_cast<uint8_t>(1 + (image * 89 + y * 28 + x) % 255);
}

// A sound file of `count` 28x28 images.
inline std::string DigitFile(int count) {
  std::string bytes = IdxHeader(0x803, static_cast<uint32_t>(count), 28, 28);
  for (int image = 0; image < count; ++image) {
    for (int y = 0; y < 28; ++y) {
      for (int x = 0; x < 28; ++x) {
        bytes.push_back(static_cast<char>(DigitPixel(image, y, x)));
      }
    }
  }
  return bytes;
}

inline std::string Gzip(const std::string& content) {
  z_stream stream = {};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8,
               Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline void WriteFile(const std::filesystem::path& path,
                      const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DATASET_IDX_FILE_H_
