#include "engine/batch_scheduler.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// Whether `outcome` holds one image for each of the rows that were at step 0.
// Sorts the images by row. A runner that loses an image would otherwise leave a
// caller waiting for ever.
absl::Status CheckFinishedRows(const std::vector<int>& steps,
                               StepOutcome& outcome) {
  std::vector<FinishedImage>& finished = outcome.finished;
  std::sort(finished.begin(), finished.end(),
            [](const FinishedImage& a, const FinishedImage& b) {
              return a.row < b.row;
            });
  size_t next = 0;
  bool match = true;
  for (size_t row = 0; row < steps.size(); ++row) {
    if (steps[row] != 0) continue;
    match = match && next < finished.size() && finished[next].row == row;
    ++next;
  }
  if (match && next == finished.size()) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("the runner returned ", finished.size(), " images where ",
                   next, " rows were at their last step"));
}

// What callers are told. They can do something about a full device (ask for
// less, or later) but nothing about the rest.
absl::Status StepFailure(const absl::Status& cause) {
  const std::string message =
      absl::StrCat("a denoising step failed: ", cause.message());
  return absl::IsResourceExhausted(cause)
             ? absl::ResourceExhaustedError(message)
             : absl::InternalError(message);
}

}  // namespace

BatchScheduler::BatchScheduler(const Options& options, EngineObserver* observer,
                               Clock* clock)
    : options_(options),
      observer_(observer),
      clock_(clock),
      lanes_(options.num_lanes) {}

BatchScheduler::~BatchScheduler() { Stop(); }

absl::StatusOr<RequestId> BatchScheduler::Submit(
    std::shared_ptr<const ServableVersion> version,
    const GenerationRequest& request, std::shared_ptr<GenerationSink> sink) {
  absl::Status refusal;
  RejectReason reject_reason = RejectReason::kQueueFull;
  RequestId id = 0;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    const int places = queued_images_ + inflight_images_;
    if (draining_) {
      reject_reason = RejectReason::kDraining;
      refusal = absl::UnavailableError("the engine is shutting down");
    } else if (request.deadline <= now) {
      reject_reason = RejectReason::kDeadline;
      refusal = absl::DeadlineExceededError(absl::StrCat(
          "the deadline passed ", absl::FormatDuration(now - request.deadline),
          " before the request arrived"));
    } else if (request.count >
               static_cast<uint32_t>(options_.max_queued_images - places)) {
      reject_reason = RejectReason::kQueueFull;
      refusal = absl::ResourceExhaustedError(absl::StrCat(
          "the queue has no room for ", request.count, " images: ", places,
          " of at most ", options_.max_queued_images, " are unfinished"));
    } else {
      id = next_request_id_++;
      Request& added = requests_[id];
      added.id = id;
      added.version_slot = SlotOf(version);
      added.seed = request.seed;
      added.pixel_format = request.pixel_format;
      added.accepted_at = now;
      added.deadline = request.deadline;
      added.unfinished = request.count;
      added.outbox = std::make_shared<ResultOutbox>(std::move(sink));
      added.trajectories.resize(request.count);
      for (uint32_t i = 0; i < request.count; ++i) {
        Trajectory& trajectory = added.trajectories[i];
        trajectory.request = &added;
        trajectory.id = next_trajectory_id_++;
        trajectory.image_index = request.first_index + i;
        trajectory.step = version->num_timesteps - 1;
      }
      ++slots_[added.version_slot].requests;
      added.version = std::move(version);
      queued_images_ += static_cast<int>(request.count);
      ++undelivered_;
      work_.SignalAll();
    }
  }
  if (!refusal.ok()) {
    observer_->OnRejected(reject_reason);
    return refusal;
  }
  ReportQueueState();
  return id;
}

void BatchScheduler::Cancel(RequestId id) {
  absl::MutexLock lock(&mu_);
  const auto it = requests_.find(id);
  if (it == requests_.end()) return;
  it->second.cancelled = true;
  work_.SignalAll();
}

void BatchScheduler::Drain(absl::Time deadline) {
  Report report;
  {
    absl::MutexLock lock(&mu_);
    draining_ = true;
    while (undelivered_ > 0 &&
           !clock_->WaitUntil(&all_finished_, &mu_, deadline)) {
    }
    const absl::Time now = clock_->Now();
    for (auto it = requests_.begin(); it != requests_.end();) {
      if (!it->second.ended) {
        EndEarly(it->second,
                 absl::UnavailableError("the engine was shut down before the "
                                        "request had finished"),
                 WasteReason::kShutdown, now, &report);
      }
      it = EraseIfDone(it);
    }
  }
  Emit(&report);
  // A lane may be delivering what finished just before.
  absl::MutexLock lock(&mu_);
  while (undelivered_ > 0) all_finished_.Wait(&mu_);
}

bool BatchScheduler::draining() const {
  absl::MutexLock lock(&mu_);
  return draining_;
}

void BatchScheduler::Stop() {
  Drain(absl::InfinitePast());
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  work_.SignalAll();
}

void BatchScheduler::Interrupt(size_t lane) {
  absl::MutexLock lock(&mu_);
  lanes_[lane].interrupted = true;
  work_.SignalAll();
}

bool BatchScheduler::NextBatch(size_t lane, LaneBatch* batch) {
  batch->forget.clear();
  batch->rows.clear();
  batch->version.reset();
  Report report;
  mu_.Lock();
  Lane& self = lanes_[lane];
  while (true) {
    const absl::Time now = clock_->Now();
    const absl::Time next_deadline = SweepRequests(now, &report);
    if (!report.outboxes.empty()) {
      mu_.Unlock();
      Emit(&report);
      mu_.Lock();
      continue;  // Meanwhile the world has moved on.
    }
    if (stopped_) {
      mu_.Unlock();
      return false;
    }
    ChooseRows(lane, now, batch, &report);
    if (!batch->rows.empty() || !self.forget.empty() || self.interrupted) break;
    clock_->WaitUntil(&work_, &mu_,
                      std::min(self.decision.wait_until, next_deadline));
  }
  self.interrupted = false;
  batch->forget.swap(self.forget);
  mu_.Unlock();
  Emit(&report);
  return true;
}

void BatchScheduler::FinishBatch(size_t lane,
                                 absl::StatusOr<StepOutcome> outcome) {
  Report report;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    Lane& self = lanes_[lane];
    self.touched.clear();
    self.steps.clear();
    for (const Trajectory* row : self.running) {
      self.steps.push_back(row->step);
      // The rows of a request stand side by side.
      if (self.touched.empty() || self.touched.back() != row->request->id) {
        self.touched.push_back(row->request->id);
      }
    }
    const absl::Status status = outcome.ok()
                                    ? CheckFinishedRows(self.steps, *outcome)
                                    : outcome.status();
    if (status.ok()) {
      AdvanceRows(self.running, *std::move(outcome), &report);
    } else {
      for (Trajectory* row : self.running) {
        row->state = Trajectory::State::kReady;
      }
    }
    self.running.clear();

    for (RequestId id : self.touched) {
      const auto it = requests_.find(id);
      Request& request = it->second;
      if (request.ended) {
        for (Trajectory& trajectory : request.trajectories) {
          if (trajectory.state == Trajectory::State::kReady) {
            Drop(trajectory, request.waste_reason, &report);
          }
        }
      } else if (!status.ok()) {
        EndEarly(request, StepFailure(status), WasteReason::kStepFailed, now,
                 &report);
      } else if (request.unfinished == 0) {
        PostFinish(request, absl::OkStatus(), now, &report);
      }
      EraseIfDone(it);
    }
    report.queue_changed = true;
  }
  Emit(&report);
}

size_t BatchScheduler::SlotOf(
    const std::shared_ptr<const ServableVersion>& version) {
  size_t free_slot = slots_.size();
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].version == version) return slot;
    if (slots_[slot].version == nullptr) free_slot = slot;
  }
  if (free_slot == slots_.size()) {
    slots_.emplace_back();
    last_turn_.emplace_back();
  }
  slots_[free_slot].version = version;
  // Behind the versions that wait already, ahead of none.
  last_turn_[free_slot] = turn_;
  return free_slot;
}

absl::Time BatchScheduler::SweepRequests(absl::Time now, Report* report) {
  absl::Time next_deadline = absl::InfiniteFuture();
  for (auto it = requests_.begin(); it != requests_.end();) {
    Request& request = it->second;
    if (!request.ended) {
      if (request.cancelled) {
        EndEarly(request, absl::CancelledError("the request was cancelled"),
                 WasteReason::kCancelled, now, report);
      } else if (request.deadline <= now) {
        EndEarly(request,
                 absl::DeadlineExceededError(
                     "the deadline passed before the last image was finished"),
                 WasteReason::kDeadline, now, report);
      } else {
        next_deadline = std::min(next_deadline, request.deadline);
      }
    }
    it = EraseIfDone(it);
  }
  return next_deadline;
}

void BatchScheduler::ChooseRows(size_t lane, absl::Time now, LaneBatch* batch,
                                Report* report) {
  Lane& self = lanes_[lane];
  self.candidates.clear();
  self.runnable.clear();
  for (auto& [id, request] : requests_) {
    if (request.ended) continue;
    for (Trajectory& trajectory : request.trajectories) {
      const bool ready = trajectory.state == Trajectory::State::kReady &&
                         trajectory.lane == lane;
      if (!ready && trajectory.state != Trajectory::State::kQueued) continue;
      self.candidates.push_back(&trajectory);
      self.runnable.push_back(
          {request.version_slot, /*started=*/ready, request.accepted_at});
    }
  }
  DecideBatch(self.runnable, last_turn_, options_.limits, now, &self.decision);
  if (self.decision.rows.empty()) return;

  for (size_t row : self.decision.rows) {
    Trajectory& trajectory = *self.candidates[row];
    Request& request = *trajectory.request;
    if (trajectory.state == Trajectory::State::kQueued) {
      trajectory.lane = lane;
      --queued_images_;
      ++inflight_images_;
      report->queue_changed = true;
    }
    if (request.started_at == absl::InfiniteFuture()) {
      request.started_at = now;
      report->queue_waits.emplace_back(request.version,
                                       now - request.accepted_at);
    }
    trajectory.state = Trajectory::State::kRunning;
    self.running.push_back(&trajectory);
    batch->rows.push_back({trajectory.id, request.seed, trajectory.image_index,
                           trajectory.step, request.pixel_format});
  }
  const Request& first = *self.running.front()->request;
  batch->version = first.version;
  last_turn_[first.version_slot] = ++turn_;
}

void BatchScheduler::AdvanceRows(const std::vector<Trajectory*>& rows,
                                 StepOutcome outcome, Report* report) {
  auto image = outcome.finished.begin();
  int delivered = 0;
  for (Trajectory* row : rows) {
    Request& request = *row->request;
    if (row->step > 0) {
      --row->step;
      row->state = Trajectory::State::kReady;
      continue;
    }
    if (request.ended) {
      report->wasted_steps[static_cast<size_t>(request.waste_reason)] +=
          request.version->num_timesteps;
    } else {
      request.outbox->PostImage({row->image_index, request.version->shape,
                                 request.pixel_format,
                                 std::move(image->pixels)});
      report->AddOutbox(request.outbox);
      ++delivered;
    }
    ++image;
    Retire(*row);
  }
  if (delivered > 0) {
    report->images.emplace_back(rows.front()->request->version, delivered);
  }
}

void BatchScheduler::Retire(Trajectory& trajectory) {
  int& places = trajectory.state == Trajectory::State::kQueued
                    ? queued_images_
                    : inflight_images_;
  --places;
  trajectory.state = Trajectory::State::kDone;
  --trajectory.request->unfinished;
}

void BatchScheduler::Drop(Trajectory& trajectory, WasteReason reason,
                          Report* report) {
  if (trajectory.state == Trajectory::State::kReady) {
    report->wasted_steps[static_cast<size_t>(reason)] +=
        trajectory.request->version->num_timesteps - 1 - trajectory.step;
    lanes_[trajectory.lane].forget.push_back(trajectory.id);
    work_.SignalAll();
  }
  Retire(trajectory);
  report->queue_changed = true;
}

void BatchScheduler::PostFinish(Request& request, const absl::Status& status,
                                absl::Time now, Report* report) {
  GenerationTimings timings;
  const absl::Time started = std::min(request.started_at, now);
  timings.queue = started - request.accepted_at;
  timings.steps = now - started;
  request.ended = true;
  request.outbox->PostFinish(status, timings);
  report->AddOutbox(request.outbox);
}

void BatchScheduler::EndEarly(Request& request, const absl::Status& status,
                              WasteReason reason, absl::Time now,
                              Report* report) {
  request.waste_reason = reason;
  for (Trajectory& trajectory : request.trajectories) {
    if (trajectory.state == Trajectory::State::kQueued ||
        trajectory.state == Trajectory::State::kReady) {
      Drop(trajectory, reason, report);
    }
  }
  PostFinish(request, status, now, report);
}

BatchScheduler::RequestMap::iterator BatchScheduler::EraseIfDone(
    RequestMap::iterator it) {
  const Request& request = it->second;
  if (request.unfinished > 0) return std::next(it);
  VersionSlot& slot = slots_[request.version_slot];
  if (--slot.requests == 0) slot.version.reset();
  return requests_.erase(it);
}

absl::Time BatchScheduler::OldestQueuedSince() const {
  if (queued_images_ == 0) return absl::InfiniteFuture();
  for (const auto& [id, request] : requests_) {
    for (const Trajectory& trajectory : request.trajectories) {
      if (trajectory.state == Trajectory::State::kQueued) {
        return request.accepted_at;
      }
    }
  }
  return absl::InfiniteFuture();
}

void BatchScheduler::Report::AddOutbox(
    const std::shared_ptr<ResultOutbox>& outbox) {
  // The rows of a request stand side by side, so looking at the last is enough
  // to keep most duplicates out; one that slips in is harmless.
  if (outboxes.empty() || outboxes.back() != outbox) outboxes.push_back(outbox);
}

void BatchScheduler::Report::Clear() {
  queue_waits.clear();
  images.clear();
  wasted_steps.fill(0);
  outboxes.clear();
  queue_changed = false;
}

void BatchScheduler::Emit(Report* report) {
  for (const auto& [version, wait] : report->queue_waits) {
    observer_->OnQueueWait(version->identity, wait);
  }
  for (const auto& [version, count] : report->images) {
    observer_->OnImages(version->identity, count);
  }
  for (size_t reason = 0; reason < report->wasted_steps.size(); ++reason) {
    if (report->wasted_steps[reason] == 0) continue;
    observer_->OnWastedSteps(static_cast<WasteReason>(reason),
                             report->wasted_steps[reason]);
  }
  if (report->queue_changed) ReportQueueState();

  int delivered = 0;
  for (const auto& outbox : report->outboxes) {
    if (outbox->Deliver()) ++delivered;
  }
  report->Clear();
  if (delivered == 0) return;
  absl::MutexLock lock(&mu_);
  undelivered_ -= delivered;
  if (undelivered_ == 0) all_finished_.SignalAll();
}

void BatchScheduler::ReportQueueState() {
  mu_.Lock();
  if (reporting_) {
    report_again_ = true;
    mu_.Unlock();
    return;
  }
  reporting_ = true;
  do {
    report_again_ = false;
    const int queued = queued_images_;
    const int inflight = inflight_images_;
    const absl::Time oldest = OldestQueuedSince();
    mu_.Unlock();
    observer_->OnQueueState(queued, inflight, oldest);
    mu_.Lock();
  } while (report_again_);
  reporting_ = false;
  mu_.Unlock();
}

}  // namespace ddgan
