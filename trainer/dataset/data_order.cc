#include "trainer/dataset/data_order.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "engine/diffusion/philox.h"

namespace ddgan {

std::vector<uint32_t> EpochOrder(uint64_t seed, int64_t epoch, size_t size) {
  std::vector<uint32_t> order;
  EpochOrder(seed, epoch, size, &order);
  return order;
}

void EpochOrder(uint64_t seed, int64_t epoch, size_t size,
                std::vector<uint32_t>* order) {
  std::seed_seq mixed{
      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
      static_cast<uint32_t>(epoch),
      static_cast<uint32_t>(static_cast<uint64_t>(epoch) >> 32)};
  std::mt19937_64 random(mixed);
  order->resize(size);
  std::iota(order->begin(), order->end(), 0u);
  // Fisher-Yates by hand: std::shuffle differs between standard libraries. The
  // modulo's bias is below size / 2^64.
  for (size_t i = size; i > 1; --i) {
    std::swap((*order)[i - 1], (*order)[random() % i]);
  }
}

bool MirrorsRow(uint64_t seed, int64_t step, uint32_t row) {
  // A counter word that no stream of noise has (engine/diffusion/philox.h).
  constexpr uint32_t kMirrorStream = 0x6d697272;
  const uint64_t at = static_cast<uint64_t>(step);
  const uint32_t key[2] = {static_cast<uint32_t>(seed),
                           static_cast<uint32_t>(seed >> 32)};
  const Philox4 words =
      Philox4x32_10({{row, static_cast<uint32_t>(at),
                      static_cast<uint32_t>(at >> 32), kMirrorStream}},
                    key);
  return (words.w[0] & 1) != 0;
}

std::vector<uint32_t> RowsOfSlot(int batch, int slots, int slot) {
  const int rows = batch / slots;
  // Of a group; where there are no groups of 4, any partition will do.
  const int members = rows % 4 == 0 ? 4 : rows;
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

std::vector<uint32_t> RowsOfProcess(int batch, int processes, int rank,
                                    int micro_batches) {
  std::vector<uint32_t> result;
  for (int part = 0; part < micro_batches; ++part) {
    const std::vector<uint32_t> rows = RowsOfSlot(
        batch, processes * micro_batches, rank * micro_batches + part);
    result.insert(result.end(), rows.begin(), rows.end());
  }
  return result;
}

}  // namespace ddgan
