#include "engine/batch_policy.h"

#include <algorithm>
#include <optional>

#include "absl/container/inlined_vector.h"

namespace ddgan {
namespace {

struct VersionSummary {
  size_t count = 0;
  size_t oldest = 0;  // Position of its first trajectory, if count > 0.
  bool started = false;
};

// When a version with work may run: InfinitePast if at once.
absl::Time DueTime(const VersionSummary& summary,
                   absl::Span<const RunnableTrajectory> runnable,
                   const BatchLimits& limits) {
  if (summary.started ||
      summary.count >= static_cast<size_t>(limits.max_batch_size)) {
    return absl::InfinitePast();
  }
  return runnable[summary.oldest].accepted_at + limits.max_wait;
}

}  // namespace

void DecideBatch(absl::Span<const RunnableTrajectory> runnable,
                 absl::Span<const uint64_t> last_turn,
                 const BatchLimits& limits, absl::Time now,
                 BatchDecision* decision) {
  decision->rows.clear();
  decision->wait_until = absl::InfiniteFuture();

  absl::InlinedVector<VersionSummary, 16> versions(last_turn.size());
  for (size_t i = 0; i < runnable.size(); ++i) {
    VersionSummary& summary = versions[runnable[i].version];
    if (summary.count++ == 0) summary.oldest = i;
    summary.started |= runnable[i].started;
  }

  std::optional<size_t> chosen;
  for (size_t v = 0; v < versions.size(); ++v) {
    if (versions[v].count == 0) continue;
    const absl::Time due = DueTime(versions[v], runnable, limits);
    if (due > now) {
      decision->wait_until = std::min(decision->wait_until, due);
      continue;
    }
    if (!chosen || last_turn[v] < last_turn[*chosen] ||
        (last_turn[v] == last_turn[*chosen] &&
         versions[v].oldest < versions[*chosen].oldest)) {
      chosen = v;
    }
  }
  if (!chosen) return;

  const size_t size = std::min(versions[*chosen].count,
                               static_cast<size_t>(limits.max_batch_size));
  for (size_t i = versions[*chosen].oldest; decision->rows.size() < size; ++i) {
    if (runnable[i].version == *chosen) decision->rows.push_back(i);
  }
}

}  // namespace ddgan
