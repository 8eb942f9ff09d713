// Which images a step sees. No LibTorch.
#ifndef DDGAN_TRAINER_DATA_ORDER_H_
#define DDGAN_TRAINER_DATA_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ddgan {

// A permutation of 0..size-1 that is a function of (seed, epoch) alone, on any
// platform: a resumed run sees what an unbroken one would. size < 2^32.
std::vector<uint32_t> EpochOrder(uint64_t seed, int64_t epoch, size_t size);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATA_ORDER_H_
