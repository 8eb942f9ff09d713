// Writes small files of CIFAR-10's binary version, for tests.
#ifndef DDGAN_TESTS_TRAINER_DATASET_CIFAR10_FILE_H_
#define DDGAN_TESTS_TRAINER_DATASET_CIFAR10_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/fakes/temporary_folder.h"

namespace ddgan {

// The value of pixel `i` of channel `c` that Cifar10Records() stores.
inline uint8_t Cifar10Pixel(int image, int c, int i) {
  return static_cast<uint8_t>(image * 53 + c * 89 + i * 7);
}

// Sound records of images first .. first + count - 1.
inline std::string Cifar10Records(int first, int count) {
  std::string bytes;
  for (int image = first; image < first + count; ++image) {
    bytes.push_back(static_cast<char>(image % 10));
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < 32 * 32; ++i) {
        bytes.push_back(static_cast<char>(Cifar10Pixel(image, c, i)));
      }
    }
  }
  return bytes;
}

// Five batches of `count` images each.
inline void WriteCifar10Train(const std::filesystem::path& folder, int count) {
  for (int batch = 0; batch < 5; ++batch) {
    WriteBytes(folder / ("data_batch_" + std::to_string(batch + 1) + ".bin"),
               Cifar10Records(batch * count, count));
  }
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DATASET_CIFAR10_FILE_H_
