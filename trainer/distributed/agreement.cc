#include "trainer/distributed/agreement.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"

namespace ddgan {
namespace {

// Texts that differ have, for all that matters, another hash.
int64_t HashOf(const std::string& text) {
  constexpr size_t kDigits = 16;
  constexpr int kHex = 16;
  return static_cast<int64_t>(
      std::stoull(Sha256Hex(text).substr(0, kDigits), nullptr, kHex));
}

}  // namespace

absl::StatusOr<int64_t> LargestOf(ProcessGroup& group, int64_t own) {
  const absl::StatusOr<std::vector<int64_t>> all = group.AllGather(own);
  if (!all.ok()) return all.status();
  return *std::max_element(all->begin(), all->end());
}

absl::StatusOr<int64_t> SumOf(ProcessGroup& group, int64_t own) {
  const absl::StatusOr<std::vector<int64_t>> all = group.AllGather(own);
  if (!all.ok()) return all.status();
  return std::accumulate(all->begin(), all->end(), int64_t{0});
}

absl::Status CheckSameEverywhere(ProcessGroup& group,
                                 absl::Span<const SharedFact> facts) {
  for (const SharedFact& fact : facts) {
    const absl::StatusOr<std::vector<int64_t>> all =
        group.AllGather(HashOf(fact.value));
    if (!all.ok()) return all.status();
    for (int rank = 1; rank < group.size(); ++rank) {
      if ((*all)[rank] == all->front()) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "process group: rank ", rank, " has ", fact.difference,
          " than rank 0: start all with the same options and data"));
    }
  }
  return absl::OkStatus();
}

absl::Status AgreeOnEnd(ProcessGroup& group, const absl::Status& own) {
  const absl::StatusOr<std::vector<int64_t>> codes =
      group.AllGather(static_cast<int64_t>(own.code()));
  const bool wrong_here = !own.ok() && !absl::IsCancelled(own);
  if (group.rank() == 0 || wrong_here) return own;
  if (!codes.ok()) return codes.status();
  const auto first = static_cast<absl::StatusCode>(codes->front());
  if (first == own.code()) return own;
  return absl::Status(
      first, "rank 0 could not end the run as it should, and says why");
}

}  // namespace ddgan
