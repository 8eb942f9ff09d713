#include "trainer/data_order.h"

#include <algorithm>
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

std::vector<uint32_t> RowsOfSlot(int batch, int slots, int slot) {
  const int rows = batch / slots;
  const int members = std::min(rows, 4);
  const int groups = rows / members;  // Of this slot.
  const int stride = groups * slots;  // Groups of the whole batch.
  std::vector<uint32_t> result;
  result.reserve(rows);
  for (int k = 0; k < members; ++k) {
    for (int m = 0; m < groups; ++m) {
      result.push_back(k * stride + slot * groups + m);
    }
  }
  return result;
}

}  // namespace ddgan
