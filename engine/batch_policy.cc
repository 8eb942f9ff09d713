#include "engine/batch_policy.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "absl/container/inlined_vector.h"

namespace ddgan {
namespace {

using Candidate = BatchDecision::Scratch::Candidate;

constexpr size_t kNone = static_cast<size_t>(-1);

struct VersionSummary {
  size_t count = 0;
  size_t oldest = 0;  // Position of its first trajectory, if count > 0.
  bool started = false;
  bool due = false;
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

size_t ClassIndex(const FlowShare& flow) {
  return static_cast<size_t>(flow.request_class);
}

// The flow that goes first: of the class with the least service the flow with
// the least service (ties: the smaller key). kNone if `key` has no flow.
size_t NextFlow(const Shares& shares, absl::Span<const double> service,
                absl::Span<const double> class_service,
                absl::Span<const size_t> key) {
  size_t best = kNone;
  const auto rank = [&](size_t flow) {
    return std::make_tuple(class_service[ClassIndex(shares.flows[flow])],
                           ClassIndex(shares.flows[flow]), service[flow],
                           key[flow]);
  };
  for (size_t flow = 0; flow < key.size(); ++flow) {
    if (key[flow] == kNone) continue;
    if (best == kNone || rank(flow) < rank(best)) best = flow;
  }
  return best;
}

}  // namespace

void DecideBatch(absl::Span<const RunnableTrajectory> runnable,
                 absl::Span<const uint64_t> last_turn, const Shares& shares,
                 const BatchLimits& limits, absl::Time now,
                 BatchDecision* decision) {
  decision->rows.clear();
  decision->wait_until = absl::InfiniteFuture();
  BatchDecision::Scratch& scratch = decision->scratch;

  bool any_started = false;
  for (const RunnableTrajectory& row : runnable) any_started |= row.started;
  // With whole requests nobody joins what is under way.
  const bool closed = any_started && limits.batching == Batching::kRequest;
  const auto eligible = [&](const RunnableTrajectory& row) {
    return row.started || !closed;
  };

  absl::InlinedVector<VersionSummary, 16> versions(last_turn.size());
  for (size_t i = 0; i < runnable.size(); ++i) {
    if (!eligible(runnable[i])) continue;
    VersionSummary& summary = versions[runnable[i].version];
    if (summary.count++ == 0) summary.oldest = i;
    summary.started |= runnable[i].started || runnable[i].urgent;
  }
  for (VersionSummary& version : versions) {
    if (version.count == 0) continue;
    const absl::Time due = DueTime(version, runnable, limits);
    version.due = due <= now;
    if (!version.due) {
      decision->wait_until = std::min(decision->wait_until, due);
    }
  }

  // The head of the queue names the version.
  const size_t num_flows = shares.flows.size();
  scratch.oldest.assign(num_flows, kNone);
  scratch.urgent.clear();
  for (size_t i = 0; i < runnable.size(); ++i) {
    const RunnableTrajectory& row = runnable[i];
    if (!eligible(row) || !versions[row.version].due) continue;
    if (scratch.oldest[row.flow] == kNone) scratch.oldest[row.flow] = i;
    if (row.urgent) scratch.urgent.push_back(i);
  }
  const auto earlier = [&](size_t a, size_t b) {
    return std::tie(runnable[a].deadline, a) <
           std::tie(runnable[b].deadline, b);
  };
  std::sort(scratch.urgent.begin(), scratch.urgent.end(), earlier);
  scratch.service.clear();
  for (const FlowShare& flow : shares.flows) {
    scratch.service.push_back(flow.service);
  }
  std::array<double, 2> class_service = shares.class_service;

  std::optional<size_t> chosen;
  if (!scratch.urgent.empty()) {
    chosen = runnable[scratch.urgent.front()].version;
  } else {
    const size_t flow =
        NextFlow(shares, scratch.service, class_service, scratch.oldest);
    if (flow == kNone) return;
    for (size_t i = scratch.oldest[flow]; i < runnable.size(); ++i) {
      const size_t version = runnable[i].version;
      if (runnable[i].flow != flow || !eligible(runnable[i]) ||
          !versions[version].due) {
        continue;
      }
      if (!chosen || last_turn[version] < last_turn[*chosen]) chosen = version;
    }
  }

  // Its rows by flow, each flow's in the order in which it wants them.
  scratch.candidates.clear();
  for (size_t i = 0; i < runnable.size(); ++i) {
    const RunnableTrajectory& row = runnable[i];
    if (row.version != *chosen || !eligible(row) || row.urgent) continue;
    scratch.candidates.push_back({row.flow, row.deadline, i});
  }
  const auto before = [](const Candidate& a, const Candidate& b) {
    return std::tie(a.flow, a.deadline, a.position) <
           std::tie(b.flow, b.deadline, b.position);
  };
  if (!std::is_sorted(scratch.candidates.begin(), scratch.candidates.end(),
                      before)) {
    std::sort(scratch.candidates.begin(), scratch.candidates.end(), before);
  }
  scratch.next.assign(num_flows, kNone);
  scratch.end.assign(num_flows, 0);
  for (size_t c = 0; c < scratch.candidates.size(); ++c) {
    const size_t flow = scratch.candidates[c].flow;
    if (scratch.next[flow] == kNone) scratch.next[flow] = c;
    scratch.end[flow] = c + 1;
  }

  const size_t size = static_cast<size_t>(limits.max_batch_size);
  int new_rows = 0;
  bool closed_by_lone_row = false;
  // Whether the row could be taken.
  const auto take = [&](size_t position) {
    const RunnableTrajectory& row = runnable[position];
    if (row.alone) {
      if (!decision->rows.empty()) return;
      closed_by_lone_row = true;
    }
    if (!row.started) {
      if (new_rows >= limits.max_new_rows) return;
      ++new_rows;
    }
    decision->rows.push_back(position);
    const FlowShare& flow = shares.flows[row.flow];
    class_service[ClassIndex(flow)] += 1 / kClassWeights[ClassIndex(flow)];
    scratch.service[row.flow] += 1 / flow.weight;
  };
  const auto full = [&] {
    return decision->rows.size() == size || closed_by_lone_row;
  };
  for (size_t position : scratch.urgent) {
    if (full()) break;
    if (runnable[position].version == *chosen) take(position);
  }
  while (!full()) {
    const size_t flow =
        NextFlow(shares, scratch.service, class_service, scratch.next);
    if (flow == kNone) break;
    size_t& next = scratch.next[flow];
    take(scratch.candidates[next].position);
    if (++next == scratch.end[flow]) next = kNone;
  }
  std::sort(decision->rows.begin(), decision->rows.end());
}

void ChargeRows(absl::Span<const RunnableTrajectory> runnable,
                absl::Span<const size_t> rows, Shares* shares) {
  for (size_t row : rows) {
    FlowShare& flow = shares->flows[runnable[row].flow];
    flow.service += 1 / flow.weight;
    shares->class_service[ClassIndex(flow)] +=
        1 / kClassWeights[ClassIndex(flow)];
  }
}

double ServiceOnReturn(double service, absl::Span<const double> active) {
  if (active.empty()) return service;
  return std::max(service, *std::min_element(active.begin(), active.end()));
}

}  // namespace ddgan
