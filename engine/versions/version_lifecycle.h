// Which version of a model to load, serve or give up next: a pure function of
// what is on disk, what is loaded, what the operator wants and how much memory
// there is. version_loader.h carries it out.
//
// It preserves availability, as TensorFlow Serving's policy of that name does:
// a live version is given up only when another takes its place in the same
// moment, so a model that was once served goes on being served.
#ifndef DDGAN_ENGINE_VERSIONS_VERSION_LIFECYCLE_H_
#define DDGAN_ENGINE_VERSIONS_VERSION_LIFECYCLE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"

namespace ddgan {

// One version of a model.
struct VersionFacts {
  int64_t version = 0;
  bool on_disk = false;  // Complete: it has a manifest.
  bool loaded = false;
  // It was tried and not taken, and its files have not changed since. Not to be
  // tried again before this moment, which may be the infinite future.
  absl::Time retry_at = absl::InfinitePast();
  // What it takes in memory: measured if it is loaded, else an estimate.
  int64_t bytes = 0;
  // When it became live last, on a counter of such moments; 0: it never was.
  uint64_t last_live = 0;
};

// One model.
struct ModelFacts {
  std::vector<VersionFacts> versions;  // In any order, each number once.
  std::optional<int64_t> live;         // One that is loaded.
  std::optional<int64_t> pinned;
  // Versions that stay loaded, the live one among them. >= 1
  int keep_versions = 1;
  // Memory for weights that nothing holds.
  int64_t free_bytes = 0;
  // What versions hold that are given up but still in use.
  int64_t draining_bytes = 0;
  // Until then a load waits for those; in the past if there are none. What a
  // lost lane holds may never come back.
  absl::Time drained_by = absl::InfinitePast();
  absl::Time now;
};

struct LifecycleAction {
  enum class Kind {
    kNone,         // Nothing to do before `look_again`.
    kMakeLive,     // `version`, which is loaded, serves from now on.
    kUnload,       // `version`, which is loaded and not live.
    kLoad,         // `version`, which is on disk, for which there is room.
    kWaitForRoom,  // `version` waits for draining memory until `look_again`.
    kNoRoom,       // `version` does not fit, and nothing will make room for it.
  };
  Kind kind = Kind::kNone;
  int64_t version = 0;
  absl::Time look_again = absl::InfiniteFuture();
};

// The next action for a model; call again with what it led to until it is
// kNone or kWaitForRoom.
//
// The version to be live is the pinned one, else the newest. One that cannot be
// had (not on disk, or tried in vain) is passed over: for a newer one than the
// live one if none is pinned, otherwise only while nothing is live at all; then
// one that is loaded goes live before a better one is loaded. A
// version older than the live one never replaces it unless it is pinned,
// whatever appears on or vanishes from the disk.
//
// Memory: besides the live version those stay loaded that were live last,
// keep_versions in all, as long as the one to be loaded fits beside them; one
// that would not fit even without them costs none. For the memory of versions
// that are given up a load waits, but not for ever.
LifecycleAction NextLifecycleAction(const ModelFacts& model);

// When to try again after `failures` (>= 1) attempts in vain that another
// attempt may mend: doubling from `first`, at most `longest`.
absl::Duration RetryDelay(int failures, absl::Duration first,
                          absl::Duration longest);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_VERSION_LIFECYCLE_H_
