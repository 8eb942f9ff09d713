#include "engine/versions/version_lifecycle.h"

#include <algorithm>

namespace ddgan {
namespace {

using Kind = LifecycleAction::Kind;

// Versions that may take the live one's place, the best first.
std::vector<const VersionFacts*> Candidates(const ModelFacts& model) {
  std::vector<const VersionFacts*> candidates;
  for (const VersionFacts& facts : model.versions) {
    if (!facts.loaded && !facts.on_disk) continue;
    const bool wanted = model.pinned
                            ? facts.version == *model.pinned
                            : !model.live || facts.version > *model.live;
    if (wanted || !model.live) candidates.push_back(&facts);
  }
  // The pinned one, then those older than it, as a pin usually keeps away from
  // what is newer; newest first within each.
  const auto rank = [&](const VersionFacts& facts) {
    if (!model.pinned || facts.version == *model.pinned) return 0;
    return facts.version < *model.pinned ? 1 : 2;
  };
  std::sort(candidates.begin(), candidates.end(),
            [&](const VersionFacts* a, const VersionFacts* b) {
              if (rank(*a) != rank(*b)) return rank(*a) < rank(*b);
              return a->version > b->version;
            });
  return candidates;
}

// The loaded versions that are not live.
struct Others {
  int count = 0;
  int64_t bytes = 0;
  // The one that was live the longest ago; null if there is none.
  const VersionFacts* first_to_go = nullptr;
};

Others OthersOf(const ModelFacts& model) {
  Others others;
  for (const VersionFacts& facts : model.versions) {
    if (!facts.loaded || facts.version == model.live) continue;
    ++others.count;
    others.bytes += facts.bytes;
    const VersionFacts*& first = others.first_to_go;
    if (first == nullptr || facts.last_live < first->last_live ||
        (facts.last_live == first->last_live &&
         facts.version < first->version)) {
      first = &facts;
    }
  }
  return others;
}

}  // namespace

LifecycleAction NextLifecycleAction(const ModelFacts& model) {
  LifecycleAction action;
  const VersionFacts* next = nullptr;
  for (const VersionFacts* candidate : Candidates(model)) {
    // While nothing is live, what can be at once comes before what is better.
    if (!model.live && candidate->loaded) {
      return {Kind::kMakeLive, candidate->version};
    }
    if (candidate->loaded || candidate->retry_at <= model.now) {
      if (next == nullptr) next = candidate;
    } else if (next == nullptr) {
      action.look_again = std::min(action.look_again, candidate->retry_at);
    }
  }
  if (next != nullptr && next->version == model.live) next = nullptr;
  if (next != nullptr && next->loaded) {
    return {Kind::kMakeLive, next->version};
  }

  const Others others = OthersOf(model);
  if (others.count > model.keep_versions - 1) {
    return {Kind::kUnload, others.first_to_go->version};
  }
  if (next == nullptr) return action;
  if (next->bytes <= model.free_bytes) return {Kind::kLoad, next->version};
  const bool drains = model.now < model.drained_by;
  const bool drained_is_enough =
      drains && next->bytes <= model.free_bytes + model.draining_bytes;
  if (!drained_is_enough && next->bytes <= model.free_bytes + others.bytes) {
    return {Kind::kUnload, others.first_to_go->version};
  }
  if (drains) {
    return {Kind::kWaitForRoom, next->version,
            std::min(action.look_again, model.drained_by)};
  }
  return {Kind::kNoRoom, next->version};
}

absl::Duration RetryDelay(int failures, absl::Duration first,
                          absl::Duration longest) {
  absl::Duration delay = first;
  for (int i = 1; i < failures && delay < longest; ++i) delay *= 2;
  return std::min(delay, longest);
}

}  // namespace ddgan
