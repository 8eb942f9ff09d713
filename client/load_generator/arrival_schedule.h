// When each call of a load run is due. Pure: times come in and go out as spans
// since the start of the run.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_ARRIVAL_SCHEDULE_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_ARRIVAL_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <vector>

#include "absl/time/time.h"

namespace ddgan {

// Thread-compatible.
class ArrivalSchedule {
 public:
  // Poisson arrivals, `rate` a second on average: exponential gaps, the first
  // one before the first call. Replies change nothing. `rate` is above 0.
  static ArrivalSchedule OpenLoop(double rate, uint64_t seed);

  // `concurrency` callers. Each sends its first call at 0 and the next one as
  // soon as the one before has ended.
  static ArrivalSchedule ClosedLoop(uint32_t concurrency);

  // When the next call is due, which may be in the past. InfiniteDuration if
  // some call has to end first.
  absl::Duration Next() const;

  // The call that was due at Next() was sent. Next() must be finite.
  void Pop();

  // A call ended at `when`, with whatever result.
  void OnCallEnded(absl::Duration when);

 private:
  ArrivalSchedule(double rate, uint64_t seed) : rate_(rate), engine_(seed) {}

  double rate_;  // 0: a closed loop.
  std::mt19937_64 engine_;
  // One for an open loop; the idle callers' for a closed one.
  std::priority_queue<absl::Duration, std::vector<absl::Duration>,
                      std::greater<>>
      due_;
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_ARRIVAL_SCHEDULE_H_
