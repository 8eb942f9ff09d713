#include "trainer/data_order.h"

#include <numeric>
#include <random>
#include <utility>

namespace ddgan {

std::vector<uint32_t> EpochOrder(uint64_t seed, int64_t epoch, size_t size) {
  std::seed_seq mixed{
      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
      static_cast<uint32_t>(epoch),
      static_cast<uint32_t>(static_cast<uint64_t>(epoch) >> 32)};
  std::mt19937_64 random(mixed);
  std::vector<uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0u);
  // Fisher-Yates by hand: std::shuffle differs between standard libraries. The
  // modulo's bias is below size / 2^64.
  for (size_t i = size; i > 1; --i)
    std::swap(order[i - 1], order[random() % i]);
  return order;
}

}  // namespace ddgan
