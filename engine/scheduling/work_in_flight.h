// All that is in flight, and every change that a step, a lane that goes out or
// the end of a request makes to it.
#ifndef DDGAN_ENGINE_SCHEDULING_WORK_IN_FLIGHT_H_
#define DDGAN_ENGINE_SCHEDULING_WORK_IN_FLIGHT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/requests/admission.h"
#include "engine/requests/request_queue.h"
#include "engine/scheduling/flow_table.h"
#include "engine/scheduling/lane_batch.h"
#include "engine/scheduling/lane_health.h"
#include "engine/scheduling/lane_table.h"
#include "engine/scheduling/promised_deadlines.h"
#include "engine/scheduling/row_chooser.h"
#include "engine/scheduling/scheduler_report.h"
#include "engine/scheduling/version_turns.h"

namespace ddgan {

// The scheduler without threads and clock: BatchScheduler guards it, tells it
// the time and emits its reports. Thread-compatible.
class WorkInFlight {
 public:
  WorkInFlight(const std::vector<BatchLimits>& lane_limits,
               std::map<std::string, double> caller_weights)
      : flows_(std::move(caller_weights)), lanes_(lane_limits) {}

  // CheckDeadline of admission.h against all that is in flight. When nothing
  // is, the costs of the claim's version may let it in all the same
  // (TakeTrial).
  std::optional<Refusal> CheckDeadlineOf(const EngineLoad& load,
                                         const Claim& claim, absl::Time now);

  // Queues the images of `request`, whose plain fields are set, for the caller
  // of `asked`.
  QueuedRequest& Add(QueuedRequest request, const GenerationRequest& asked);
  // False if there is none.
  bool Cancel(RequestId id);

  // Ends what was cancelled or has expired, and everything once every lane has
  // been out for `outage_limit`. Returns when to look again at the latest.
  absl::Time Sweep(absl::Time now, absl::Duration outage_limit,
                   SchedulerReport* report);
  // Ends every request.
  void EndAll(const absl::Status& status, WasteReason reason, absl::Time now,
              SchedulerReport* report);

  // Fills the rows of `batch` for the lane; none: returns when to ask again.
  absl::Time ChooseRows(size_t lane, absl::Time now, LaneBatch* batch,
                        SchedulerReport* report);
  // What came of the lane's batch; BatchScheduler::FinishBatch says more.
  LaneHealth::Action FinishStep(size_t lane,
                                absl::StatusOr<StepOutcome*> outcome,
                                absl::Time now, SchedulerReport* report);
  // The lane is out, because of `cause`: everything that it holds starts again
  // elsewhere, the rows of its batch with one attempt less.
  void TakeOutLane(size_t lane, const absl::Status& cause, absl::Time now,
                   SchedulerReport* report);

  RequestQueue& queue() { return queue_; }
  const RequestQueue& queue() const { return queue_; }
  LaneTable& lanes() { return lanes_; }
  const LaneTable& lanes() const { return lanes_; }

 private:
  // Moves the rows of a step that went well one step on.
  void AdvanceRows(const std::vector<Trajectory*>& rows, StepOutcome& outcome,
                   SchedulerReport* report);
  // Ends what the lane's last batch finished or broke. No row runs any more.
  void SettleBatch(LaneState& lane, absl::Time now, SchedulerReport* report);
  // Retires a trajectory that is not running and leaves without an image; what
  // it ran is waste.
  void Drop(Trajectory& trajectory, WasteReason reason,
            SchedulerReport* report);
  // Drops every trajectory of the request that does not run just now.
  void DropIdle(QueuedRequest& request, SchedulerReport* report);
  // Nothing more goes to the request's sink after this.
  void PostFinish(QueuedRequest& request, const absl::Status& status,
                  absl::Time now, SchedulerReport* report);
  // Ends a request early. Trajectories that run just now follow when their step
  // ends.
  void EndEarly(QueuedRequest& request, const absl::Status& status,
                WasteReason reason, absl::Time now, SchedulerReport* report);
  // Removes a request of which nothing is left. Returns the next.
  RequestQueue::Requests::iterator EraseIfDone(
      RequestQueue::Requests::iterator it);

  RequestQueue queue_;
  FlowTable flows_;
  VersionTurns turns_;
  LaneTable lanes_;
  // Memory that is reused.
  PromisedDeadlines deadlines_;
  RowChooser chooser_;
  std::vector<RequestId> touched_;  // Requests with rows in the last batch.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_WORK_IN_FLIGHT_H_
