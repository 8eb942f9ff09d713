// What became of the calls that make images, by model and version, for clients
// that ask for it. What is scraped is telemetry's.
#ifndef DDGAN_SERVER_CALLS_CALL_STATISTICS_H_
#define DDGAN_SERVER_CALLS_CALL_STATISTICS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/generation.h"

namespace ddgan {

// Thread-safe.
class CallStatistics {
 public:
  // Of each model, those that were used last.
  static constexpr size_t kVersionsKept = 16;

  // A call that the engine took, once it has ended.
  struct Call {
    bool ok = false;
    uint32_t images = 0;
    absl::Duration total;  // From its arrival to its end.
    GenerationTimings timings;
    absl::Duration encode;  // CPU time.
  };

  // Since the process began.
  struct Tally {
    int64_t succeeded = 0;
    int64_t failed = 0;
    absl::Duration failed_time;
    // The rest of those that succeeded.
    absl::Duration succeeded_time;
    absl::Duration queue;
    absl::Duration steps;
    absl::Duration encode;
    int64_t images = 0;
    absl::Time last = absl::InfinitePast();  // When one ended.
  };

  // `now` is the wall clock's.
  void Record(const ModelIdentity& model, const Call& call, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Empty if none is known.
  Tally Of(const std::string& model, int64_t version) const
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct VersionTally {
    int64_t version = 0;
    Tally tally;
  };

  mutable absl::Mutex mu_;
  // By model; the version used last is at the back.
  std::map<std::string, std::vector<VersionTally>> models_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_CALL_STATISTICS_H_
