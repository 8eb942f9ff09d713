// Which images a step sees. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_DATA_ORDER_H_
#define DDGAN_TRAINER_DATASET_DATA_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ddgan {

// A permutation of 0..size-1 that is a function of (seed, epoch) alone, on any
// platform: a resumed run sees what an unbroken one would. size < 2^32.
std::vector<uint32_t> EpochOrder(uint64_t seed, int64_t epoch, size_t size);

// The same into `order`, whose memory is used again.
void EpochOrder(uint64_t seed, int64_t epoch, size_t size,
                std::vector<uint32_t>* order);

// Whether row `row` of the global batch of step `step` is mirrored, left to
// right: with probability 1/2, a function of the arguments alone.
bool MirrorsRow(uint64_t seed, int64_t step, uint32_t row);

// Which rows of a global batch one slot of it computes, in order. A slot is one
// micro-batch of one process: `slots` = processes x micro-batches share the
// batch evenly. The minibatch standard deviation looks at groups of 4 samples
// m, m + M, m + 2M, m + 3M (engine/MODEL.md 4); a slot gets whole groups, so
// that the statistics, and with them the run, are the same for any number of
// slots that leaves each 4 samples or more. batch is a multiple of slots, and a
// slot has at most 4 rows or a multiple of 4.
std::vector<uint32_t> RowsOfSlot(int batch, int slots, int slot);

// The rows of process `rank` of `processes`, one micro-batch after the other.
std::vector<uint32_t> RowsOfProcess(int batch, int processes, int rank,
                                    int micro_batches);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_DATA_ORDER_H_
