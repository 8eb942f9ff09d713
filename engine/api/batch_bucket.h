// Batch sizes are reported, and step costs kept, by powers of two.
#ifndef DDGAN_ENGINE_API_BATCH_BUCKET_H_
#define DDGAN_ENGINE_API_BATCH_BUCKET_H_

#include <algorithm>
#include <bit>

namespace ddgan {

// The smallest b with 2^b >= rows: 0 for 1 row, 1 for 2, 2 for 3 and 4, ...
constexpr int BatchBucket(int rows) {
  return std::bit_width(static_cast<unsigned>(std::max(rows, 1)) - 1);
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_API_BATCH_BUCKET_H_
