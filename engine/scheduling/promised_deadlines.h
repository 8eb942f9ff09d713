// What the requests in flight still need before their deadlines.
#ifndef DDGAN_ENGINE_SCHEDULING_PROMISED_DEADLINES_H_
#define DDGAN_ENGINE_SCHEDULING_PROMISED_DEADLINES_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "engine/requests/admission.h"
#include "engine/requests/deadline_policy.h"
#include "engine/requests/request_queue.h"
#include "engine/scheduling/version_turns.h"

namespace ddgan {

// The queue as deadline_policy.h sees it: requests and places that are held,
// if they have a deadline. Reuses its memory. Thread-compatible.
class PromisedDeadlines {
 public:
  // Looks through `queue`, whose requests must not change before the last call
  // of MarkUrgent.
  void Collect(RequestQueue& queue, const VersionTurns& turns,
               LaneCapacity capacity);

  // Earliest deadline first.
  std::vector<DeadlineWork>& work() { return work_; }
  // The longest that the tick under way may take, be it of a model without
  // deadlines.
  absl::Duration busy() const { return busy_; }

  // Sets `urgent` of every request that has a deadline.
  void MarkUrgent(absl::Time now);

 private:
  struct Entry {
    absl::Time steps_deadline;
    uint64_t id = 0;  // Decides between equal deadlines.
    const ServableVersion* version = nullptr;
    int64_t steps_left = 0;
    int longest = 0;                   // Steps of its image that needs most.
    QueuedRequest* request = nullptr;  // Null: a place that is held.
  };

  std::vector<Entry> entries_;
  std::vector<DeadlineWork> work_;  // Of entries_, in the same order.
  absl::Duration busy_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_PROMISED_DEADLINES_H_
