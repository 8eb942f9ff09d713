#include "client/load_generator/latency_recorder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace ddgan {
namespace {

constexpr int kBitsPerPowerOfTwo = 6;
constexpr uint64_t kBucketsPerPowerOfTwo = uint64_t{1} << kBitsPerPowerOfTwo;

// Below 2 * kBucketsPerPowerOfTwo every nanosecond has a bucket of its own;
// above, the leading bits choose it.
size_t BucketOf(uint64_t ns) {
  const int shift = std::max(
      static_cast<int>(std::bit_width(ns)) - 1 - kBitsPerPowerOfTwo, 0);
  return static_cast<size_t>(shift) * kBucketsPerPowerOfTwo + (ns >> shift);
}

uint64_t MiddleOf(size_t bucket) {
  const uint64_t shift =
      bucket < kBucketsPerPowerOfTwo ? 0 : bucket / kBucketsPerPowerOfTwo - 1;
  const uint64_t width = uint64_t{1} << shift;
  return (bucket - shift * kBucketsPerPowerOfTwo) * width + width / 2;
}

}  // namespace

void LatencyRecorder::Record(absl::Duration latency) {
  const int64_t ns = std::max<int64_t>(absl::ToInt64Nanoseconds(latency), 0);
  const size_t bucket = BucketOf(static_cast<uint64_t>(ns));
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  max_ns_ = std::max(max_ns_, ns);
}

absl::Duration LatencyRecorder::Percentile(double percent) const {
  const auto rank = static_cast<uint64_t>(
      std::ceil(percent / 100.0 * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank && seen > 0) {
      return std::min(absl::Nanoseconds(MiddleOf(i)), max());
    }
  }
  return absl::ZeroDuration();
}

}  // namespace ddgan
