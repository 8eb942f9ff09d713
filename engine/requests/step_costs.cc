#include "engine/requests/step_costs.h"

#include <algorithm>

#include "engine/api/batch_bucket.h"

namespace ddgan {

void StepCosts::Record(int rows, absl::Duration time) {
  std::atomic<int64_t>& average =
      row_ns_[std::min(BatchBucket(rows), kNumBuckets - 1)];
  const int64_t old = average.load(std::memory_order_relaxed);
  int64_t row_ns = std::max<int64_t>(absl::ToInt64Nanoseconds(time) / rows, 1);
  // One step that stalled must not refuse all the work by which the average
  // would recover.
  if (const std::optional<absl::Duration> expected = StepTime(rows)) {
    row_ns = std::min(
        row_ns,
        std::max<int64_t>(2 * absl::ToInt64Nanoseconds(*expected) / rows, 1));
  }
  if (old > 0) {
    const int64_t next = old + (row_ns - old) / 8;
    row_ns = std::max<int64_t>(std::min(next, 2 * row_ns), 1);
  }
  average.store(row_ns, std::memory_order_relaxed);
}

std::optional<absl::Duration> StepCosts::StepTime(int rows) const {
  const int bucket = std::min(BatchBucket(rows), kNumBuckets - 1);
  for (int b = bucket; b >= 0; --b) {
    const int64_t row_ns = row_ns_[b].load(std::memory_order_relaxed);
    if (row_ns > 0) return absl::Nanoseconds(row_ns) * rows;
  }
  for (int b = bucket + 1; b < kNumBuckets; ++b) {
    const int64_t row_ns = row_ns_[b].load(std::memory_order_relaxed);
    if (row_ns > 0) return absl::Nanoseconds(row_ns) * (1 << b);
  }
  return std::nullopt;
}

bool StepCosts::TakeTrial(absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  int64_t last_ns = 0;
  // The first call starts the interval.
  if (trial_unix_ns_.compare_exchange_strong(last_ns, now_ns)) return false;
  // Of concurrent callers one.
  return now_ns - last_ns >= absl::ToInt64Nanoseconds(kTrialInterval) &&
         trial_unix_ns_.compare_exchange_strong(last_ns, now_ns);
}

}  // namespace ddgan
