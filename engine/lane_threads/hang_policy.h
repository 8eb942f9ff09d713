// Whether what a lane is doing will ever end, as a pure function of what it is,
// how long it takes as a rule and how long it has been seen to go on. A lane
// that is merely slow (a busy machine, swapped memory) must not be taken out,
// so the limits are far from anything that such a lane needs, and only time in
// which somebody was looking counts.
#ifndef DDGAN_ENGINE_LANE_THREADS_HANG_POLICY_H_
#define DDGAN_ENGINE_LANE_THREADS_HANG_POLICY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace ddgan {

// A call into a lane's device.
struct LaneActivity {
  enum class Kind {
    kNone,      // The lane waits for work, or is between two calls.
    kCreation,  // Its runner is being made or given up.
    kProbe,  // The runner is tried: before the lane returns, or on suspicion.
    kStep,   // A denoising step of requests.
    kSlice,  // A step of a warm-up or a canary.
  };
  Kind kind = Kind::kNone;
  // Tells one activity of a lane from the next; grows.
  uint64_t number = 0;
  absl::Time started;
  // What it takes as a rule. Of steps that have been measured only.
  std::optional<absl::Duration> expected;
};

enum class HangVerdict {
  kFine,
  kHung,  // The lane is to be taken out; it may come back.
  kLost,  // It will not come back: only a new process frees its device.
};

// A measured step hangs when it takes so many times what is expected, and at
// least kShortestHang: the first step of a batch shape also compiles and
// records it, which takes seconds.
inline constexpr int kHangMultiple = 50;
inline constexpr absl::Duration kShortestHang = absl::Seconds(30);
// Everything else hangs after this time: it may load libraries, choose kernels
// and record every batch shape.
inline constexpr absl::Duration kUnmeasuredHang = absl::Minutes(5);
// What hangs is lost when it goes on for so much longer.
inline constexpr absl::Duration kLostAfter = absl::Minutes(1);
// No lane has served for so long, though none hangs.
inline constexpr absl::Duration kFailedAfter = absl::Minutes(10);

// How long an activity may go on. InfiniteDuration for kNone.
absl::Duration HangLimit(const LaneActivity& activity);

// `seen` is how long it has been seen to go on.
HangVerdict JudgeActivity(const LaneActivity& activity, absl::Duration seen);

// For the operator: "a step has not ended for 31s (expected: 5ms)".
std::string DescribeHang(const LaneActivity& activity, absl::Duration seen);

// How often lanes are looked at, and the most that one look counts for. A
// process that was stopped for an hour, or whose clock was set, has only seen
// one look's worth of it, and its lanes get time to go on.
inline constexpr absl::Duration kLookInterval = absl::Seconds(1);
inline constexpr absl::Duration kLongestLook = absl::Seconds(2);

// The part of the time since `last_look` that counts.
absl::Duration SeenSince(absl::Time last_look, absl::Time now);

// Adds up how long a lane has been seen at its activity. Thread-compatible.
class ActivityWatch {
 public:
  // The lane is at `activity`, `since_last_look` (SeenSince) after the look
  // before. Returns how long it has been seen at it.
  absl::Duration Look(const LaneActivity& activity,
                      absl::Duration since_last_look, absl::Time now);

 private:
  uint64_t number_ = 0;
  absl::Duration seen_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANE_THREADS_HANG_POLICY_H_
