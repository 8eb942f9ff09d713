// MNIST's own digits in the form of a model's images, to check a measure by. No
// LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_REAL_PICTURES_H_
#define DDGAN_TRAINER_EVALUATION_REAL_PICTURES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/dataset/image_dataset.h"

namespace ddgan {

// Each channel goes through a permutation of the digits of its own, again and
// again through new ones, which are a function of the seed. Thread-compatible.
class RealPictures {
 public:
  // `digits` is gray and outlives this. channels: 1 for MNIST, 3 for
  // Stacked-MNIST.
  RealPictures(const ImageDataset& digits, int channels, uint64_t seed);

  // The next `count`, [count, S, S, channels]: interleaved rows, 8 bits. Fails
  // as ImageDataset::Image does.
  absl::StatusOr<std::vector<uint8_t>> Next(int64_t count);

 private:
  const ImageDataset& digits_;
  const size_t channels_;
  const uint64_t seed_;
  uint64_t next_ = 0;
  std::vector<std::vector<uint32_t>> order_;  // By channel.
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_REAL_PICTURES_H_
