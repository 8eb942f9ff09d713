// Counts the calls of a load run. Pure: times come in as spans since the start
// of the run.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_LOAD_TALLY_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_LOAD_TALLY_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/load_generator/latency_recorder.h"
#include "client/load_generator/load_options.h"
#include "client/load_generator/load_report.h"
#include "client/load_generator/request_mix.h"

namespace ddgan {

enum class CallFate {
  kOk,
  kRefused,
  kFailed,
  kCancelled,
  kUnanswered,
  kUnsent,
};

// A call that is over, or was never sent.
struct FinishedCall {
  CallPlan plan;
  // When it was due, when it was sent, when its reply came. Unsent: all equal.
  absl::Duration due;
  absl::Duration sent;
  absl::Duration ended;
  CallFate fate = CallFate::kOk;
  absl::StatusCode code = absl::StatusCode::kOk;
  int64_t version = 0;  // If OK.
};

// Why the client itself ended a call, if it did.
enum class Abort { kNone, kCancelled, kTimedOut };

// What became of a call that was sent and ended with `code` at `ended`. A reply
// that came before the client could end the call counts as such.
CallFate FateOf(absl::StatusCode code, Abort abort, absl::Duration ended,
                absl::Duration deadline);

// Thread-compatible.
class LoadTally {
 public:
  // `standalone` is empty or has every count of the mix.
  LoadTally(const LoadOptions& options,
            std::map<uint32_t, absl::Duration> standalone);

  // In any order.
  void Add(const FinishedCall& call);

  // Everything but `server` and `verify`. `now` is the end of the run.
  LoadReport Report(absl::Duration now) const;

 private:
  // Calls of one group, such as a class.
  struct Group {
    LatencyRecorder ok;
    uint64_t calls = 0;  // Not cancelled.
    uint64_t within_3x = 0;
  };

  struct Window {
    WindowRow row;
    LatencyRecorder ok;
  };

  void AddToWindows(const FinishedCall& call);
  void AddToGroup(const FinishedCall& call, Group* group) const;
  LatencyRow Row(const std::string& name, const Group& group) const;
  Window* WindowAt(absl::Duration time);

  // Constant after construction.
  const LoadOptions options_;
  const std::map<uint32_t, absl::Duration> standalone_;
  const absl::Duration measured_end_;  // Infinite if the calls bound the run.
  const bool many_counts_;

  CallCounts calls_;
  std::map<std::string, uint64_t> errors_;
  std::map<int64_t, uint64_t> versions_;
  uint64_t sent_late_ = 0;
  absl::Duration max_send_delay_;
  Group all_;
  std::map<v1::RequestClass, Group> by_class_;
  // By first and last count.
  std::map<std::pair<uint32_t, uint32_t>, Group> by_count_;
  LatencyRecorder refused_;

  uint64_t ok_in_time_ = 0;  // Replies within the measured time.
  uint64_t images_in_time_ = 0;
  std::vector<Window> windows_;
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_LOAD_TALLY_H_
