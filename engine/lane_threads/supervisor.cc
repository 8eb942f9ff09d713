#include "engine/lane_threads/supervisor.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace ddgan {

Supervisor::Supervisor(BatchScheduler* scheduler, LanePool* pool, Clock* clock)
    : scheduler_(scheduler),
      pool_(pool),
      clock_(clock),
      watched_(pool->lanes().size()),
      thread_([this] { Run(); }) {}

Supervisor::~Supervisor() {
  scheduler_->Stop();
  thread_.join();
}

absl::Status Supervisor::Liveness() const {
  absl::MutexLock lock(&mu_);
  return liveness_;
}

void Supervisor::Run() {
  do {
    const absl::Time now = clock_->Now();
    if (now < last_look_ || now >= last_look_ + kLookInterval) LookAtLanes(now);
  } while (scheduler_->AwaitSweep(
      std::min(scheduler_->Sweep(), last_look_ + kLookInterval)));
}

void Supervisor::LookAtLanes(absl::Time now) {
  const absl::Duration since_last_look = SeenSince(last_look_, now);
  last_look_ = now;
  none_serves_ += since_last_look;
  absl::Status lost;
  for (size_t i = 0; i < watched_.size(); ++i) {
    LaneWorker& lane = *pool_->lanes()[i];
    const LaneWorker::State state = lane.state();
    if (state.open) none_serves_ = absl::ZeroDuration();
    lost.Update(LookAtLane(lane, state, since_last_look, now, &watched_[i]));
  }
  // A device whose every call fails, as after an error that CUDA keeps until
  // the process ends, is as good as lost in the end.
  if (lost.ok() && none_serves_ >= kFailedAfter) {
    lost = absl::InternalError(absl::StrCat("no device has worked for ",
                                            absl::FormatDuration(kFailedAfter),
                                            " or longer"));
  }
  absl::MutexLock lock(&mu_);
  liveness_ = none_serves_ >= kLostAfter ? lost : absl::OkStatus();
}

absl::Status Supervisor::LookAtLane(LaneWorker& lane,
                                    const LaneWorker::State& state,
                                    absl::Duration since_last_look,
                                    absl::Time now, Watched* watched) {
  const LaneActivity& activity = state.activity;
  const absl::Duration seen =
      watched->watch.Look(activity, since_last_look, now);
  const HangVerdict before = watched->verdict;
  watched->verdict = JudgeActivity(activity, seen);
  if (watched->verdict == HangVerdict::kFine) return absl::OkStatus();
  const std::string hang = DescribeHang(activity, seen);
  if (before == HangVerdict::kFine &&
      !lane.TakeOut(activity, absl::UnavailableError(
                                  absl::StrCat("the device hangs: ", hang)))) {
    return absl::OkStatus();
  }
  if (watched->verdict == HangVerdict::kHung) return absl::OkStatus();
  const absl::Status lost = absl::InternalError(
      absl::StrCat("the device hangs and will not come back: ", hang,
                   ", since ", absl::FormatTime(activity.started)));
  if (before != HangVerdict::kLost && !lane.ReportLost(activity, lost)) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat(lane.device(), ": ", lost.message()));
}

}  // namespace ddgan
