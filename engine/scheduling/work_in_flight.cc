#include "engine/scheduling/work_in_flight.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/scheduling/outcome_check.h"

namespace ddgan {
namespace {

// What callers are told. They can do something about a full device (ask for
// less, or later) but nothing about the rest.
absl::Status StepFailure(const absl::Status& cause) {
  const std::string message =
      absl::StrCat("a denoising step failed: ", cause.message());
  return absl::IsResourceExhausted(cause)
             ? absl::ResourceExhaustedError(message)
             : absl::InternalError(message);
}

absl::Status NotFinite(const Trajectory& row) {
  const QueuedRequest& request = *row.request;
  const ModelIdentity& identity = request.version->identity;
  return absl::InternalError(
      absl::StrCat("the images of model ", identity.model, " version ",
                   identity.version, " are not finite at seed ", row.noise.seed,
                   ", index ", row.noise.index, ", step ", row.step));
}

}  // namespace

std::optional<Refusal> WorkInFlight::CheckDeadlineOf(const EngineLoad& load,
                                                     const Claim& claim,
                                                     absl::Time now) {
  deadlines_.Collect(queue_, turns_, load.capacity);
  std::optional<Refusal> refusal =
      CheckDeadline(load, claim, deadlines_.busy(), now, &deadlines_.work());
  if (refusal && load.images == 0 && claim.version->costs->TakeTrial(now)) {
    return std::nullopt;
  }
  return refusal;
}

QueuedRequest& WorkInFlight::Add(QueuedRequest request,
                                 const GenerationRequest& asked) {
  request.version_number = turns_.Enter(request.version);
  request.flow = flows_.Enter(asked);
  return queue_.Add(std::move(request), asked);
}

bool WorkInFlight::Cancel(RequestId id) {
  const auto it = queue_.requests().find(id);
  if (it == queue_.requests().end()) return false;
  it->second.cancelled = true;
  return true;
}

absl::Time WorkInFlight::Sweep(absl::Time now, absl::Duration outage_limit,
                               SchedulerReport* report) {
  const absl::Time outage_ends = lanes_.all_down_since() + outage_limit;
  const bool outage = outage_ends <= now;
  absl::Time next = outage ? absl::InfiniteFuture() : outage_ends;
  RequestQueue::Requests& requests = queue_.requests();
  for (auto it = requests.begin(); it != requests.end();) {
    QueuedRequest& request = it->second;
    if (request.ended) {
      // Its last rows are still running.
    } else if (request.cancelled) {
      EndEarly(request, absl::CancelledError("the request was cancelled"),
               WasteReason::kCancelled, now, report);
    } else if (request.deadline <= now) {
      EndEarly(request,
               absl::DeadlineExceededError(
                   "the deadline passed before the last image was finished"),
               WasteReason::kDeadline, now, report);
    } else if (outage) {
      EndEarly(request,
               absl::UnavailableError("every device has been out for too long"),
               WasteReason::kStepFailed, now, report);
    } else {
      next = std::min(next, request.deadline);
    }
    it = EraseIfDone(it);
  }
  return next;
}

void WorkInFlight::EndAll(const absl::Status& status, WasteReason reason,
                          absl::Time now, SchedulerReport* report) {
  RequestQueue::Requests& requests = queue_.requests();
  for (auto it = requests.begin(); it != requests.end();) {
    if (!it->second.ended) EndEarly(it->second, status, reason, now, report);
    it = EraseIfDone(it);
  }
}

absl::Time WorkInFlight::ChooseRows(size_t lane, absl::Time now,
                                    LaneBatch* batch, SchedulerReport* report) {
  LaneState& self = lanes_[lane];
  deadlines_.Collect(queue_, turns_, lanes_.capacity());
  deadlines_.MarkUrgent(now);
  BatchLimits limits = self.limits;
  limits.max_batch_size = self.health.max_batch_size();
  // When several lanes are idle, each takes only its part of what waits.
  const int sharing = lanes_.CountIdle() + 1;
  limits.max_new_rows =
      std::max((queue_.queued_images() + sharing - 1) / sharing, 1);
  const absl::Span<Trajectory* const> rows =
      chooser_.Choose(queue_, turns_, lane, limits, now, &flows_);
  if (rows.empty()) return chooser_.wait_until();

  for (Trajectory* row : rows) {
    QueuedRequest& request = *row->request;
    if (row->state == Trajectory::State::kQueued) report->queue_changed = true;
    if (request.started_at == absl::InfiniteFuture()) {
      request.started_at = now;
      report->queue_waits.emplace_back(request.version,
                                       now - request.accepted_at);
    }
    queue_.Start(*row, lane);
    self.running.push_back(row);
    const bool guided = row->steps_run() == 0 && request.guide != nullptr;
    if (guided) batch->guides.push_back(request.guide);
    batch->rows.push_back({.id = row->id,
                           .seed = row->noise.seed,
                           .image_index = row->noise.index,
                           .step = row->step,
                           .pixel_format = request.pixel_format,
                           .guide = guided ? request.guide->data() : nullptr,
                           .preview = request.previews && row->step > 0});
    if (request.trace_tag != 0) {
      batch->traced.push_back(
          {.tag = request.trace_tag,
           .position = request.reserved_positions[row->position()],
           .step = row->step});
    }
  }
  batch->version = rows.front()->request->version;
  turns_.TakeTurn(rows.front()->request->version_number);
  return absl::InfinitePast();
}

LaneHealth::Action WorkInFlight::FinishStep(
    size_t lane, absl::StatusOr<StepOutcome*> outcome, absl::Time now,
    SchedulerReport* report) {
  LaneState& self = lanes_[lane];
  const absl::Status status =
      outcome.ok() ? CheckOutcome(self.running, **outcome) : outcome.status();
  const bool all_finite = !status.ok() || (*outcome)->not_finite.empty();
  const auto rows = static_cast<int>(self.running.size());
  const LaneHealth::Action action =
      self.health.OnStep(status, rows, all_finite, now);
  switch (action) {
    case LaneHealth::Action::kGoOn:
    case LaneHealth::Action::kProbe:
      self.running.front()->request->version->costs->Record(
          rows, (*outcome)->device_time);
      AdvanceRows(self.running, **outcome, report);
      SettleBatch(self, now, report);
      break;
    case LaneHealth::Action::kRetrySmaller:
      for (Trajectory* row : self.running) queue_.PutBack(*row);
      SettleBatch(self, now, report);
      // What was put back before its first step may run anywhere.
      report->wake_lanes = true;
      break;
    case LaneHealth::Action::kTakeOut:
      TakeOutLane(lane, status, now, report);
      break;
  }
  report->queue_changed = true;
  return action;
}

void WorkInFlight::TakeOutLane(size_t lane, const absl::Status& cause,
                               absl::Time now, SchedulerReport* report) {
  LaneState& self = lanes_[lane];
  for (Trajectory* row : self.running) {
    row->failed_step = row->step;
    if (++row->attempts >= Trajectory::kMaxAttempts) {
      row->request->failure = StepFailure(cause);
    }
    queue_.PutBack(*row);
  }
  lanes_.TakeOut(lane, now);
  for (auto& [id, request] : queue_.requests()) {
    for (Trajectory& trajectory : request.trajectories) {
      if (trajectory.state != Trajectory::State::kReady ||
          trajectory.lane != lane) {
        continue;
      }
      report->AddWaste(
          request.ended ? request.waste_reason : WasteReason::kReplayed,
          trajectory.steps_run());
      queue_.Restart(trajectory);
    }
  }
  SettleBatch(self, now, report);
  report->queue_changed = true;
  report->wake_lanes = true;
}

void WorkInFlight::AdvanceRows(const std::vector<Trajectory*>& rows,
                               StepOutcome& outcome, SchedulerReport* report) {
  for (FinishedImage& preview : outcome.previews) {
    const Trajectory& row = *rows[preview.row];
    QueuedRequest& request = *row.request;
    if (request.ended) continue;
    request.outbox->PostPreview(
        {row.position(), row.noise.index, request.version->shape,
         request.pixel_format, std::move(preview.pixels)},
        row.step);
    report->AddOutbox(request.outbox);
  }
  auto image = outcome.finished.begin();
  auto not_finite = outcome.not_finite.begin();
  int delivered = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    Trajectory& row = *rows[i];
    QueuedRequest& request = *row.request;
    if (not_finite != outcome.not_finite.end() && *not_finite == i) {
      ++not_finite;
      if (request.failure.ok()) request.failure = NotFinite(row);
      report->AddWaste(
          request.ended ? request.waste_reason : WasteReason::kStepFailed,
          row.steps_run() + 1);
      queue_.Retire(row);
    } else if (row.step > 0) {
      queue_.Advance(row);
    } else {
      if (request.ended) {
        report->AddWaste(request.waste_reason, row.steps_run() + 1);
      } else {
        request.outbox->PostImage({row.position(), row.noise.index,
                                   request.version->shape, request.pixel_format,
                                   std::move(image->pixels)});
        report->AddOutbox(request.outbox);
        ++delivered;
      }
      ++image;
      queue_.Retire(row);
    }
  }
  if (delivered > 0) {
    report->images.emplace_back(rows.front()->request->version, delivered);
  }
}

void WorkInFlight::SettleBatch(LaneState& lane, absl::Time now,
                               SchedulerReport* report) {
  touched_.clear();
  for (const Trajectory* row : lane.running) {
    // The rows of a request stand side by side.
    if (touched_.empty() || touched_.back() != row->request->id) {
      touched_.push_back(row->request->id);
    }
  }
  lane.running.clear();
  for (RequestId id : touched_) {
    const auto it = queue_.requests().find(id);
    QueuedRequest& request = it->second;
    if (request.ended) {
      DropIdle(request, report);
    } else if (!request.failure.ok()) {
      EndEarly(request, request.failure, WasteReason::kStepFailed, now, report);
    } else if (request.unfinished == 0) {
      PostFinish(request, absl::OkStatus(), now, report);
    }
    EraseIfDone(it);
  }
}

void WorkInFlight::Drop(Trajectory& trajectory, WasteReason reason,
                        SchedulerReport* report) {
  if (trajectory.state == Trajectory::State::kReady) {
    report->AddWaste(reason, trajectory.steps_run());
    lanes_[trajectory.lane].forget.push_back(trajectory.id);
    report->wake_lanes = true;
  }
  queue_.Retire(trajectory);
  report->queue_changed = true;
}

void WorkInFlight::DropIdle(QueuedRequest& request, SchedulerReport* report) {
  for (Trajectory& trajectory : request.trajectories) {
    if (trajectory.state == Trajectory::State::kQueued ||
        trajectory.state == Trajectory::State::kReady) {
      Drop(trajectory, request.waste_reason, report);
    }
  }
}

void WorkInFlight::PostFinish(QueuedRequest& request,
                              const absl::Status& status, absl::Time now,
                              SchedulerReport* report) {
  GenerationTimings timings;
  const absl::Time started = std::min(request.started_at, now);
  timings.queue = started - request.accepted_at;
  timings.steps = now - started;
  request.ended = true;
  request.outbox->PostFinish(status, timings);
  report->AddOutbox(request.outbox);
}

void WorkInFlight::EndEarly(QueuedRequest& request, const absl::Status& status,
                            WasteReason reason, absl::Time now,
                            SchedulerReport* report) {
  request.waste_reason = reason;
  DropIdle(request, report);
  PostFinish(request, status, now, report);
}

RequestQueue::Requests::iterator WorkInFlight::EraseIfDone(
    RequestQueue::Requests::iterator it) {
  const QueuedRequest& request = it->second;
  if (request.unfinished > 0) return std::next(it);
  turns_.Leave(request.version_number);
  flows_.Leave(request.flow);
  return queue_.Erase(it);
}

}  // namespace ddgan
