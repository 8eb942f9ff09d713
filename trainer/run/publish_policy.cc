#include "trainer/run/publish_policy.h"

#include <cstddef>

namespace ddgan {

bool PublishIsDue(const PublishIntervals& intervals, int64_t steps_done,
                  absl::Duration since_last) {
  return steps_done % intervals.steps == 0 || since_last >= intervals.time;
}

std::vector<int64_t> VersionsToRemove(const std::vector<int64_t>& published,
                                      const Retention& retention) {
  std::vector<int64_t> removed;
  if (retention.last == 0) return removed;
  int64_t before = 0;
  for (size_t i = 0; i < published.size(); ++i) {
    const int64_t version = published[i];
    const bool is_last =
        published.size() - i <= static_cast<size_t>(retention.last);
    // Between `before` and here a multiple was reached.
    const bool is_first_after_multiple =
        retention.every > 0 &&
        version / retention.every > before / retention.every;
    if (!is_last && !is_first_after_multiple) removed.push_back(version);
    before = version;
  }
  return removed;
}

}  // namespace ddgan
