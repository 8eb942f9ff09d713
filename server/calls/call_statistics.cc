#include "server/calls/call_statistics.h"

#include <algorithm>

namespace ddgan {

void CallStatistics::Record(const ModelIdentity& model, const Call& call,
                            absl::Time now) {
  absl::MutexLock lock(&mu_);
  std::vector<VersionTally>& versions = models_[model.model];
  const auto known = std::find_if(versions.begin(), versions.end(),
                                  [&model](const VersionTally& version) {
                                    return version.version == model.version;
                                  });
  if (known != versions.end()) {
    std::rotate(known, known + 1, versions.end());
  } else {
    if (versions.size() == kVersionsKept) versions.erase(versions.begin());
    versions.push_back({.version = model.version, .tally = {}});
  }
  Tally& tally = versions.back().tally;
  if (!call.ok) {
    ++tally.failed;
    tally.failed_time += call.total;
    return;
  }
  ++tally.succeeded;
  tally.succeeded_time += call.total;
  tally.queue += call.timings.queue;
  tally.steps += call.timings.steps;
  tally.encode += call.encode;
  tally.images += call.images;
  tally.last = std::max(tally.last, now);
}

CallStatistics::Tally CallStatistics::Of(const std::string& model,
                                         int64_t version) const {
  absl::MutexLock lock(&mu_);
  const auto found = models_.find(model);
  if (found == models_.end()) return {};
  for (const VersionTally& known : found->second) {
    if (known.version == version) return known.tally;
  }
  return {};
}

}  // namespace ddgan
