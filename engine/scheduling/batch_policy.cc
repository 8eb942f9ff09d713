#include "engine/scheduling/batch_policy.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace ddgan {
namespace {

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

}  // namespace

void AssignFinishTags(const Shares& shares, absl::Span<RequestShare> requests,
                      std::vector<size_t>* scratch) {
  scratch->resize(requests.size());
  std::iota(scratch->begin(), scratch->end(), size_t{0});
  const auto before = [&](size_t a, size_t b) {
    return std::tie(requests[a].flow, requests[a].deadline, a) <
           std::tie(requests[b].flow, requests[b].deadline, b);
  };
  if (!std::is_sorted(scratch->begin(), scratch->end(), before)) {
    std::sort(scratch->begin(), scratch->end(), before);
  }
  double rows = 0;
  for (size_t k = 0; k < scratch->size(); ++k) {
    RequestShare& request = requests[(*scratch)[k]];
    if (k == 0 || requests[(*scratch)[k - 1]].flow != request.flow) rows = 0;
    rows += request.rows_left;
    const FlowShare& flow = shares.flows[request.flow];
    request.finish = flow.service + rows / flow.weight;
  }
}

void DecideBatch(absl::Span<const RunnableTrajectory> runnable,
                 absl::Span<const uint64_t> last_turn, const Shares& shares,
                 const BatchLimits& limits, absl::Time now,
                 BatchDecision* decision) {
  decision->rows.clear();
  decision->wait_until = absl::InfiniteFuture();
  BatchDecision::Scratch& scratch = decision->scratch;

  absl::InlinedVector<VersionSummary, 16> versions(last_turn.size());
  for (size_t i = 0; i < runnable.size(); ++i) {
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
  scratch.urgent.clear();
  std::array<double, 2> class_service = shares.class_service;
  const auto class_of = [&](size_t i) {
    return ClassIndex(shares.flows[runnable[i].flow]);
  };
  const auto rank = [&](size_t i) {
    return std::make_tuple(class_service[class_of(i)], class_of(i),
                           runnable[i].finish, i);
  };
  std::optional<size_t> head;
  for (size_t i = 0; i < runnable.size(); ++i) {
    const RunnableTrajectory& row = runnable[i];
    if (!versions[row.version].due) continue;
    if (row.urgent) scratch.urgent.push_back(i);
    if (!head || rank(i) < rank(*head)) head = i;
  }
  if (!head) return;
  std::sort(scratch.urgent.begin(), scratch.urgent.end(),
            [&](size_t a, size_t b) {
              return std::tie(runnable[a].deadline, a) <
                     std::tie(runnable[b].deadline, b);
            });
  size_t chosen = runnable[*head].version;
  if (!scratch.urgent.empty()) {
    chosen = runnable[scratch.urgent.front()].version;
  } else {
    const auto turn = [&](size_t i) {
      return std::make_pair(last_turn[runnable[i].version], rank(i));
    };
    size_t first = *head;
    for (size_t i = 0; i < runnable.size(); ++i) {
      if (runnable[i].flow == runnable[*head].flow &&
          versions[runnable[i].version].due && turn(i) < turn(first)) {
        first = i;
      }
    }
    chosen = runnable[first].version;
  }

  // Its rows by class, in the order in which they are taken.
  for (std::vector<size_t>& rows : scratch.candidates) rows.clear();
  for (size_t i = 0; i < runnable.size(); ++i) {
    const RunnableTrajectory& row = runnable[i];
    if (row.version != chosen || row.urgent) continue;
    scratch.candidates[class_of(i)].push_back(i);
  }
  const auto before = [&](size_t a, size_t b) {
    return std::tie(runnable[a].finish, a) < std::tie(runnable[b].finish, b);
  };
  for (std::vector<size_t>& rows : scratch.candidates) {
    if (!std::is_sorted(rows.begin(), rows.end(), before)) {
      std::sort(rows.begin(), rows.end(), before);
    }
  }

  const size_t size = static_cast<size_t>(limits.max_batch_size);
  int new_rows = 0;
  bool closed_by_lone_row = false;
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
    class_service[class_of(position)] += 1 / kClassWeights[class_of(position)];
  };
  const auto full = [&] {
    return decision->rows.size() == size || closed_by_lone_row;
  };
  for (size_t position : scratch.urgent) {
    if (full()) break;
    if (runnable[position].version == chosen) take(position);
  }
  std::array<size_t, 2> next = {};
  while (!full()) {
    std::optional<size_t> of_class;
    for (size_t c = 0; c < next.size(); ++c) {
      if (next[c] == scratch.candidates[c].size()) continue;
      if (!of_class || class_service[c] < class_service[*of_class]) {
        of_class = c;
      }
    }
    if (!of_class) break;
    take(scratch.candidates[*of_class][next[*of_class]++]);
  }
  std::sort(decision->rows.begin(), decision->rows.end());
}

void ChargeRows(absl::Span<const RunnableTrajectory> runnable,
                absl::Span<const size_t> rows, Shares* shares) {
  for (FlowShare& flow : shares->flows) {
    flow.waits = false;
    flow.behind =
        std::max(shares->virtual_time[ClassIndex(flow)] - flow.service, 0.0);
  }
  std::array<double, 2>& service = shares->class_service;
  const std::array<double, 2> class_behind = {
      std::max(service[1] - service[0], 0.0),
      std::max(service[0] - service[1], 0.0)};

  auto taken = rows.begin();
  for (size_t i = 0; i < runnable.size(); ++i) {
    FlowShare& flow = shares->flows[runnable[i].flow];
    if (taken == rows.end() || *taken != i) {
      flow.waits = true;
      continue;
    }
    ++taken;
    const size_t c = ClassIndex(flow);
    flow.service += 1 / flow.weight;
    service[c] += 1 / kClassWeights[c];
    shares->virtual_time[c] +=
        1 / std::max(shares->active_weight[c], flow.weight);
  }

  // Virtual time is not less than what each of those who wait has had, nor, if
  // nobody waits, than what anybody has had.
  std::array<std::optional<double>, 2> least_waiting;
  std::array<double, 2> most = {};
  for (const RunnableTrajectory& row : runnable) {
    const FlowShare& flow = shares->flows[row.flow];
    const size_t c = ClassIndex(flow);
    most[c] = std::max(most[c], flow.service);
    if (!flow.waits) continue;
    least_waiting[c] =
        std::min(least_waiting[c].value_or(flow.service), flow.service);
  }
  const std::array<double, 2> charged = service;
  for (size_t c = 0; c < service.size(); ++c) {
    shares->virtual_time[c] =
        std::max(shares->virtual_time[c], least_waiting[c].value_or(most[c]));
    if (!least_waiting[c]) {
      service[c] = std::max(service[c], charged[1 - c] - class_behind[c]);
    }
  }
  for (FlowShare& flow : shares->flows) {
    if (flow.waits) continue;
    flow.service = std::max(
        flow.service, shares->virtual_time[ClassIndex(flow)] - flow.behind);
  }
}

double ServiceOnReturn(double service, double virtual_time) {
  return std::max(service, virtual_time);
}

}  // namespace ddgan
