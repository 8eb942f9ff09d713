// Latencies as a histogram: any number of them in a few kilobytes.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_LATENCY_RECORDER_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_LATENCY_RECORDER_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace ddgan {

// Buckets are 1/64 of a power of two of nanoseconds wide, so that a percentile
// is at most 1/128 (0.8%) away from the exact one. Thread-compatible.
class LatencyRecorder {
 public:
  // Below 0 counts as 0.
  void Record(absl::Duration latency);

  uint64_t count() const { return count_; }
  absl::Duration max() const { return absl::Nanoseconds(max_ns_); }  // Exact.

  // The smallest latency that at least `percent` % of all do not exceed, to
  // within a bucket; `percent` in (0, 100]. Zero if nothing was recorded.
  absl::Duration Percentile(double percent) const;

 private:
  std::vector<uint64_t> buckets_;  // As many as the largest latency needs.
  uint64_t count_ = 0;
  int64_t max_ns_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_LATENCY_RECORDER_H_
