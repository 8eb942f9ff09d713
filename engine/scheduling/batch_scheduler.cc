#include "engine/scheduling/batch_scheduler.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "engine/api/retry_hint.h"

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
  if (!match || next != finished.size()) {
    return absl::InternalError(
        absl::StrCat("the runner returned ", finished.size(), " images where ",
                     next, " rows were at their last step"));
  }
  for (const FinishedImage& preview : outcome.previews) {
    if (preview.row < steps.size() && steps[preview.row] > 0) continue;
    return absl::InternalError(
        absl::StrCat("the runner returned a preview of row ", preview.row,
                     ", which has none"));
  }
  return absl::OkStatus();
}

// Longest part of a caller's name that tells it from others.
constexpr size_t kMaxCallerSize = 256;
// Callers whose service is remembered even while they have no work.
constexpr size_t kMaxFlows = 4096;

constexpr absl::Duration kMinRetryAfter = absl::Milliseconds(50);
constexpr absl::Duration kMaxRetryAfter = absl::Seconds(30);
// While nothing has been measured.
constexpr absl::Duration kDefaultRetryAfter = absl::Milliseconds(500);

// The t of the first step of the request's trajectories.
int FirstStep(const GenerationRequest& request,
              const ServableVersion& version) {
  return (request.guide ? request.guide->steps : version.num_timesteps) - 1;
}

// What the request's images and its fitted guide take.
int64_t BytesOf(const GenerationRequest& request, const ImageShape& shape) {
  const int64_t numel = int64_t{shape.channels} * shape.height * shape.width;
  const int64_t result =
      request.pixel_format == PixelFormat::kFloat32 ? numel * 4 : numel;
  // x_t before and after a step, and the result; a preview is as large.
  const int64_t image =
      2 * numel * 4 + (request.previews ? 2 * result : result);
  return image * request.count + (request.guide ? numel * 4 : 0);
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
    : options_(options), observer_(observer), clock_(clock) {
  for (const BatchLimits& limits : options.lane_limits) {
    lanes_.emplace_back(limits);
  }
}

BatchScheduler::~BatchScheduler() { Stop(); }

BatchScheduler::Place::~Place() {
  if (number_ != 0) scheduler_->GiveBack(number_);
}

absl::StatusOr<std::unique_ptr<BatchScheduler::Place>> BatchScheduler::Reserve(
    std::shared_ptr<const ServableVersion> version, GenerationRequest request) {
  const int first_step = FirstStep(request, *version);
  const int64_t bytes = BytesOf(request, version->shape) +
                        (request.guide ? request.guide->picture_bytes : 0);
  auto place = std::unique_ptr<Place>(
      new Place(this, std::move(version), std::move(request)));
  RefusalReason reason = RefusalReason::kQueueFull;
  absl::Status refusal;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    refusal = CheckAdmission(place->version(), place->request(), first_step,
                             bytes, now, &reason);
    if (refusal.ok()) {
      place->number_ = next_place_++;
      const int images = static_cast<int>(place->request_.count);
      reserved_[place->number_] = {
          place->version_, images, bytes, first_step,
          StepsDeadline(now, place->request_.deadline)};
      reserved_images_ += images;
      queued_bytes_ += bytes;
    }
  }
  if (!refusal.ok()) {
    observer_->OnRefused(reason);
    return refusal;
  }
  return place;
}

void BatchScheduler::GiveBack(uint64_t number) {
  absl::MutexLock lock(&mu_);
  const auto room = reserved_.find(number);
  reserved_images_ -= room->second.images;
  queued_bytes_ -= room->second.bytes;
  reserved_.erase(room);
}

absl::StatusOr<Acceptance> BatchScheduler::Submit(
    std::unique_ptr<Place> place,
    std::shared_ptr<const std::vector<float>> guide,
    std::shared_ptr<GenerationSink> sink) {
  const GenerationRequest& request = place->request();
  const ServableVersion& version = place->version();
  const int first_step = FirstStep(request, version);
  const int64_t bytes = BytesOf(request, version.shape);
  absl::Status refusal;
  RefusalReason reason = RefusalReason::kDraining;
  Acceptance acceptance;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    refusal = CheckOpen(request.deadline, now, &reason);
    if (refusal.ok()) {
      const auto room = reserved_.find(place->number_);
      const absl::Time steps_deadline = room->second.steps_deadline;
      reserved_images_ -= room->second.images;
      queued_bytes_ += bytes - room->second.bytes;
      reserved_.erase(room);
      place->number_ = 0;

      acceptance.id = next_request_id_++;
      acceptance.identity = version.identity;
      acceptance.shape = version.shape;
      acceptance.num_timesteps = version.num_timesteps;
      acceptance.images_ahead = queued_images_;
      acceptance.expected_start = ExpectedStart(version);
      Request& added = requests_[acceptance.id];
      added.id = acceptance.id;
      added.version_slot = SlotOf(place->version_);
      added.flow = FlowOf(request);
      added.first_step = first_step;
      added.bytes = bytes;
      added.guide = std::move(guide);
      added.previews = request.previews;
      added.seed = request.seed;
      added.pixel_format = request.pixel_format;
      added.accepted_at = now;
      added.deadline = request.deadline;
      added.steps_deadline = steps_deadline;
      added.unfinished = request.count;
      added.steps_left = int64_t{request.count} * (first_step + 1);
      added.outbox =
          std::make_shared<ResultOutbox>(std::move(sink), request.count);
      added.trajectories.resize(request.count);
      for (uint32_t i = 0; i < request.count; ++i) {
        Trajectory& trajectory = added.trajectories[i];
        trajectory.request = &added;
        trajectory.id = next_trajectory_id_++;
        trajectory.image_index = request.first_index + i;
        trajectory.step = first_step;
      }
      ++slots_[added.version_slot].requests;
      added.version = place->version_;
      queued_images_ += static_cast<int>(request.count);
      ++undelivered_;
      work_.SignalAll();
    }
  }
  if (!refusal.ok()) {
    observer_->OnRefused(reason);
    return refusal;
  }
  ReportQueueState();
  return acceptance;
}

absl::Status BatchScheduler::CheckOpen(absl::Time deadline, absl::Time now,
                                       RefusalReason* reason) const {
  if (draining_) {
    *reason = RefusalReason::kDraining;
    return absl::UnavailableError("the engine is shutting down");
  }
  if (deadline <= now) {
    *reason = RefusalReason::kDeadline;
    return absl::DeadlineExceededError(absl::StrCat(
        "the deadline passed ", absl::FormatDuration(now - deadline),
        " before the request could be queued"));
  }
  return absl::OkStatus();
}

int BatchScheduler::Places() const {
  return queued_images_ + inflight_images_ + reserved_images_;
}

absl::Status BatchScheduler::CheckAdmission(const ServableVersion& version,
                                            const GenerationRequest& request,
                                            int first_step, int64_t bytes,
                                            absl::Time now,
                                            RefusalReason* reason) {
  absl::Status open = CheckOpen(request.deadline, now, reason);
  if (!open.ok()) return open;
  if (now >= all_down_since_ + options_.outage_limit) {
    *reason = RefusalReason::kNoDevice;
    return absl::UnavailableError(
        absl::StrCat("every device has been out for ",
                     absl::FormatDuration(now - all_down_since_)));
  }
  *reason = RefusalReason::kQueueFull;
  const int places = Places();
  if (static_cast<int64_t>(request.count) + places >
      options_.max_queued_images) {
    return WithRetryAfter(
        absl::ResourceExhaustedError(absl::StrCat(
            "the queue has no room for ", request.count, " images: ", places,
            " of at most ", options_.max_queued_images, " are unfinished")),
        RetryAfterFull(version, request.count));
  }
  if (bytes + queued_bytes_ > options_.max_queued_bytes) {
    return WithRetryAfter(
        absl::ResourceExhaustedError(
            absl::StrCat("the queue has no room for ", bytes,
                         " bytes of images: ", queued_bytes_, " of at most ",
                         options_.max_queued_bytes, " are taken")),
        RetryAfterFull(version, request.count));
  }
  if (request.deadline == absl::InfiniteFuture()) return absl::OkStatus();

  const std::optional<absl::Duration> tick =
      TickTime(version, places + static_cast<int>(request.count));
  if (!tick) return absl::OkStatus();
  const absl::Duration busy = std::max(CollectDeadlines(), *tick);
  const int rows =
      std::min(places + static_cast<int>(request.count), RowsPerTick());
  const absl::Time target = StepsDeadline(now, request.deadline);
  const auto place =
      std::upper_bound(deadline_work_.begin(), deadline_work_.end(), target,
                       [](absl::Time deadline, const DeadlineWork& work) {
                         return deadline < work.deadline;
                       });
  const size_t first = place - deadline_work_.begin();
  const int64_t steps = int64_t{request.count} * (first_step + 1);
  deadline_work_.insert(
      place,
      {target, *tick * static_cast<double>(steps) / static_cast<double>(rows),
       *tick * (first_step + 1)});
  // An idle engine starts at once.
  const absl::Duration wait = places == 0 ? absl::ZeroDuration() : busy;
  if (DeadlinesCanBeMet(deadline_work_, first, wait, now)) {
    return absl::OkStatus();
  }
  *reason = RefusalReason::kUnmeetableDeadline;
  return absl::DeadlineExceededError(absl::StrCat(
      "the deadline is in ", absl::FormatDuration(request.deadline - now),
      ", but with the work ahead ", request.count, " images take about ",
      absl::FormatDuration(absl::Trunc(TimeNeeded(deadline_work_, first, wait),
                                       absl::Milliseconds(1)))));
}

int BatchScheduler::LanesUp() const {
  int up = 0;
  for (const Lane& lane : lanes_) up += lane.up ? 1 : 0;
  return std::max(up, 1);
}

int BatchScheduler::RowsPerTick() const {
  int rows = 0;
  for (const Lane& lane : lanes_) {
    if (lane.up) rows += lane.health.max_batch_size();
  }
  return std::max(rows, 1);
}

std::optional<absl::Duration> BatchScheduler::TickTime(
    const ServableVersion& version, int images) const {
  const int lanes = LanesUp();
  const int rows = std::min(images, RowsPerTick());
  return version.costs->StepTime(std::max((rows + lanes - 1) / lanes, 1));
}

std::optional<absl::Duration> BatchScheduler::ExpectedStart(
    const ServableVersion& version) const {
  const int places = Places();
  const std::optional<absl::Duration> tick = TickTime(version, places + 1);
  if (!tick) return std::nullopt;
  if (places == 0) return absl::ZeroDuration();
  const int rows = RowsPerTick();
  if (places < rows) return *tick;
  // Images run to their end in order, `rows` at a time.
  return *tick * version.num_timesteps * (places / rows);
}

absl::Duration BatchScheduler::RetryAfterFull(const ServableVersion& version,
                                              uint32_t count) const {
  const std::optional<absl::Duration> tick =
      TickTime(version, options_.max_queued_images);
  if (!tick) return kDefaultRetryAfter;
  const absl::Duration needed = *tick * version.num_timesteps *
                                static_cast<double>(count) / RowsPerTick();
  return std::clamp(needed, kMinRetryAfter, kMaxRetryAfter);
}

absl::Duration BatchScheduler::CollectDeadlines() {
  deadline_work_.clear();
  deadline_claims_.clear();
  for (auto& [id, request] : requests_) {
    if (request.ended || request.cancelled ||
        request.deadline == absl::InfiniteFuture()) {
      continue;
    }
    int longest = 0;
    for (const Trajectory& trajectory : request.trajectories) {
      if (trajectory.state == Trajectory::State::kDone) continue;
      longest = std::max(longest, trajectory.step + 1);
    }
    deadline_claims_.push_back({request.steps_deadline, id,
                                request.version.get(), request.steps_left,
                                longest, &request});
  }
  for (const auto& [number, room] : reserved_) {
    if (room.steps_deadline == absl::InfiniteFuture()) continue;
    const int steps = room.first_step + 1;
    deadline_claims_.push_back({room.steps_deadline, number, room.version.get(),
                                int64_t{room.images} * steps, steps, nullptr});
  }
  std::sort(deadline_claims_.begin(), deadline_claims_.end(),
            [](const DeadlineClaim& a, const DeadlineClaim& b) {
              return std::tie(a.steps_deadline, a.order) <
                     std::tie(b.steps_deadline, b.order);
            });
  const int places = Places();
  absl::Duration busy;
  for (const VersionSlot& slot : slots_) {
    if (slot.version == nullptr) continue;
    busy = std::max(
        busy, TickTime(*slot.version, places).value_or(absl::ZeroDuration()));
  }
  const int rows = std::max(std::min(places, RowsPerTick()), 1);
  for (const DeadlineClaim& claim : deadline_claims_) {
    const absl::Duration tick =
        TickTime(*claim.version, places).value_or(absl::ZeroDuration());
    deadline_work_.push_back(
        {claim.steps_deadline,
         tick * static_cast<double>(claim.steps_left) / rows,
         tick * claim.longest});
  }
  return busy;
}

void BatchScheduler::MarkUrgent(absl::Time now) {
  const absl::Duration busy = CollectDeadlines();
  const size_t urgent = CountUrgent(deadline_work_, busy, now);
  for (size_t i = 0; i < deadline_claims_.size(); ++i) {
    Request* const request = deadline_claims_[i].request;
    if (request != nullptr) request->urgent = i < urgent;
  }
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
  mu_.Lock();
  Lane& self = lanes_[lane];
  Report& report = *self.report;
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
    self.idle = true;
    clock_->WaitUntil(&work_, &mu_,
                      std::min(self.decision.wait_until, next_deadline));
    self.idle = false;
  }
  self.interrupted = false;
  batch->forget.swap(self.forget);
  mu_.Unlock();
  Emit(&report);
  return true;
}

LaneHealth::Action BatchScheduler::FinishBatch(
    size_t lane, absl::StatusOr<StepOutcome*> outcome) {
  Report* report = nullptr;
  LaneHealth::Action action;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    Lane& self = lanes_[lane];
    report = self.report.get();
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
                                    ? CheckFinishedRows(self.steps, **outcome)
                                    : outcome.status();
    action = self.health.OnStep(status, static_cast<int>(self.running.size()));
    switch (action) {
      case LaneHealth::Action::kGoOn:
        self.running.front()->request->version->costs->Record(
            static_cast<int>(self.running.size()), (*outcome)->device_time);
        AdvanceRows(self.running, **outcome, report);
        break;
      case LaneHealth::Action::kRetrySmaller:
        // No row has moved.
        for (Trajectory* row : self.running) PutBack(*row);
        break;
      case LaneHealth::Action::kTakeOut:
        for (Trajectory* row : self.running) {
          ++row->attempts;
          row->failed_step = row->step;
          PutBack(*row);
        }
        TakeOut(lane, now, report);
        break;
    }
    self.running.clear();

    for (RequestId id : self.touched) {
      const auto it = requests_.find(id);
      Request& request = it->second;
      if (request.ended) {
        for (Trajectory& trajectory : request.trajectories) {
          if (trajectory.state == Trajectory::State::kReady ||
              trajectory.state == Trajectory::State::kQueued) {
            Drop(trajectory, request.waste_reason, report);
          }
        }
      } else if (action == LaneHealth::Action::kTakeOut &&
                 AnyRowFailedForGood(request)) {
        EndEarly(request, StepFailure(status), WasteReason::kStepFailed, now,
                 report);
      } else if (request.unfinished == 0) {
        PostFinish(request, absl::OkStatus(), now, report);
      }
      EraseIfDone(it);
    }
    report->queue_changed = true;
    // Lanes that found nothing to run may find it now.
    if (action != LaneHealth::Action::kGoOn) work_.SignalAll();
  }
  Emit(report);
  return action;
}

bool BatchScheduler::AnyRowFailedForGood(const Request& request) {
  return std::any_of(request.trajectories.begin(), request.trajectories.end(),
                     [](const Trajectory& trajectory) {
                       return trajectory.attempts >= kMaxAttempts;
                     });
}

bool BatchScheduler::RunsAlone(const Trajectory& trajectory) {
  return trajectory.step == trajectory.failed_step ||
         trajectory.attempts == kMaxAttempts - 1;
}

void BatchScheduler::PutBack(Trajectory& trajectory) {
  if (trajectory.step < trajectory.request->first_step) {
    trajectory.state = Trajectory::State::kReady;
    return;
  }
  // It has no x_t on the lane, so any lane may start it.
  trajectory.state = Trajectory::State::kQueued;
  --inflight_images_;
  ++queued_images_;
}

void BatchScheduler::TakeOut(size_t lane, absl::Time now, Report* report) {
  Lane& self = lanes_[lane];
  self.up = false;
  self.retry_at = now + self.health.backoff();
  for (auto& [id, request] : requests_) {
    for (Trajectory& trajectory : request.trajectories) {
      if (trajectory.state != Trajectory::State::kReady ||
          trajectory.lane != lane) {
        continue;
      }
      const int steps = request.first_step - trajectory.step;
      report->wasted_steps[static_cast<size_t>(
          request.ended ? request.waste_reason : WasteReason::kReplayed)] +=
          steps;
      request.steps_left += steps;
      trajectory.step = request.first_step;
      PutBack(trajectory);
    }
  }
  self.forget.clear();
  const bool any_up = std::any_of(lanes_.begin(), lanes_.end(),
                                  [](const Lane& other) { return other.up; });
  if (!any_up) all_down_since_ = std::min(all_down_since_, now);
}

bool BatchScheduler::AwaitRetry(size_t lane) {
  mu_.Lock();
  Report& report = *lanes_[lane].report;
  while (true) {
    const absl::Time now = clock_->Now();
    const absl::Time next_deadline = SweepRequests(now, &report);
    if (!report.outboxes.empty()) {
      mu_.Unlock();
      Emit(&report);
      mu_.Lock();
      continue;
    }
    const absl::Time retry_at = lanes_[lane].retry_at;
    if (stopped_ || retry_at <= now) break;
    clock_->WaitUntil(&work_, &mu_, std::min(retry_at, next_deadline));
  }
  const bool stopped = stopped_;
  mu_.Unlock();
  Emit(&report);
  return !stopped;
}

void BatchScheduler::ReturnLane(size_t lane) {
  absl::MutexLock lock(&mu_);
  lanes_[lane].up = true;
  lanes_[lane].forget.clear();
  all_down_since_ = absl::InfiniteFuture();
}

void BatchScheduler::LaneCreationFailed(size_t lane) {
  absl::MutexLock lock(&mu_);
  Lane& self = lanes_[lane];
  self.health.OnCreationFailed();
  self.retry_at = clock_->Now() + self.health.backoff();
}

int BatchScheduler::max_batch_size(size_t lane) const {
  absl::MutexLock lock(&mu_);
  return lanes_[lane].health.max_batch_size();
}

bool BatchScheduler::AnyLaneUp() const {
  absl::MutexLock lock(&mu_);
  return all_down_since_ == absl::InfiniteFuture();
}

bool BatchScheduler::idle(size_t lane) const {
  absl::MutexLock lock(&mu_);
  return lanes_[lane].idle;
}

double BatchScheduler::WeightOf(const GenerationRequest& request) const {
  if (request.caller_weight.has_value()) return *request.caller_weight;
  const auto weight =
      options_.caller_weights.find(request.caller.substr(0, kMaxCallerSize));
  return weight == options_.caller_weights.end() ? 1 : weight->second;
}

size_t BatchScheduler::FlowOf(const GenerationRequest& request) {
  const auto request_class = static_cast<size_t>(request.request_class);
  const double virtual_time = shares_.virtual_time[request_class];
  const double weight = WeightOf(request);
  std::pair<RequestClass, std::string> key(
      request.request_class, request.caller.substr(0, kMaxCallerSize));
  auto found = flow_index_.find(key);
  if (found == flow_index_.end()) {
    // A flow may be forgotten once it owes nothing, or if there are too many.
    size_t flow = flows_.size();
    for (size_t idle = 0; idle < flows_.size(); ++idle) {
      const FlowShare& share = shares_.flows[idle];
      if (flows_[idle].requests > 0) continue;
      if (flows_.size() < kMaxFlows &&
          share.service >
              shares_.virtual_time[static_cast<size_t>(share.request_class)]) {
        continue;
      }
      flow = idle;
      flow_index_.erase({share.request_class, flows_[idle].caller});
      break;
    }
    if (flow == flows_.size()) {
      flows_.emplace_back();
      shares_.flows.emplace_back();
    }
    flows_[flow].caller = key.second;
    shares_.flows[flow] = {request.request_class, weight, 0};
    found = flow_index_.emplace(std::move(key), flow).first;
  }
  FlowShare& share = shares_.flows[found->second];
  if (flows_[found->second].requests > 0) {
    shares_.active_weight[request_class] += weight - share.weight;
  }
  share.weight = weight;
  if (flows_[found->second].requests++ == 0) {
    share.service = ServiceOnReturn(share.service, virtual_time);
    shares_.active_weight[request_class] += share.weight;
  }
  return found->second;
}

void BatchScheduler::LeaveFlow(size_t flow) {
  if (--flows_[flow].requests > 0) return;
  const FlowShare& share = shares_.flows[flow];
  double& weight =
      shares_.active_weight[static_cast<size_t>(share.request_class)];
  weight = std::max(weight - share.weight, 0.0);
}

bool BatchScheduler::IsSameModel(size_t a, size_t b) const {
  return slots_[a].version != nullptr && slots_[b].version != nullptr &&
         slots_[a].version->identity.model == slots_[b].version->identity.model;
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
  // Behind the models that wait already, ahead of none.
  last_turn_[free_slot] = turn_;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slot != free_slot && IsSameModel(slot, free_slot)) {
      last_turn_[free_slot] = last_turn_[slot];
    }
  }
  return free_slot;
}

absl::Time BatchScheduler::SweepRequests(absl::Time now, Report* report) {
  const absl::Time outage_ends = all_down_since_ + options_.outage_limit;
  absl::Time next_deadline = outage_ends;
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
      } else if (outage_ends <= now) {
        EndEarly(request,
                 absl::UnavailableError("every device has been out for too "
                                        "long"),
                 WasteReason::kStepFailed, now, report);
      } else {
        next_deadline = std::min(next_deadline, request.deadline);
      }
    }
    it = EraseIfDone(it);
  }
  return outage_ends <= now ? absl::InfiniteFuture() : next_deadline;
}

void BatchScheduler::ChooseRows(size_t lane, absl::Time now, LaneBatch* batch,
                                Report* report) {
  Lane& self = lanes_[lane];
  MarkUrgent(now);
  request_shares_.clear();
  for (const auto& [id, request] : requests_) {
    if (request.ended) continue;
    request_shares_.push_back({request.flow, request.deadline,
                               static_cast<double>(request.steps_left), 0});
  }
  AssignFinishTags(shares_, absl::MakeSpan(request_shares_), &share_order_);
  self.candidates.clear();
  self.runnable.clear();
  auto share = request_shares_.begin();
  for (auto& [id, request] : requests_) {
    if (request.ended) continue;
    const double finish = (share++)->finish;
    for (Trajectory& trajectory : request.trajectories) {
      const bool ready = trajectory.state == Trajectory::State::kReady &&
                         trajectory.lane == lane;
      if (!ready && trajectory.state != Trajectory::State::kQueued) continue;
      self.candidates.push_back(&trajectory);
      self.runnable.push_back({.version = request.version_slot,
                               .started = ready,
                               .accepted_at = request.accepted_at,
                               .flow = request.flow,
                               .finish = finish,
                               .deadline = request.deadline,
                               .urgent = request.urgent,
                               .alone = RunsAlone(trajectory)});
    }
  }
  BatchLimits limits = self.limits;
  limits.max_batch_size = self.health.max_batch_size();
  const auto idle_lanes = static_cast<int>(
      std::count_if(lanes_.begin(), lanes_.end(),
                    [](const Lane& other) { return other.up && other.idle; }));
  limits.max_new_rows =
      std::max((queued_images_ + idle_lanes) / (idle_lanes + 1), 1);
  DecideBatch(self.runnable, last_turn_, shares_, limits, now, &self.decision);
  if (self.decision.rows.empty()) return;
  ChargeRows(self.runnable, self.decision.rows, &shares_);

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
    const bool first = trajectory.step == request.first_step;
    batch->rows.push_back({.id = trajectory.id,
                           .seed = request.seed,
                           .image_index = trajectory.image_index,
                           .step = trajectory.step,
                           .pixel_format = request.pixel_format,
                           .guide = first && request.guide != nullptr
                                        ? request.guide->data()
                                        : nullptr,
                           .preview = request.previews && trajectory.step > 0});
  }
  const Request& first = *self.running.front()->request;
  batch->version = first.version;
  ++turn_;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (IsSameModel(slot, first.version_slot)) last_turn_[slot] = turn_;
  }
}

void BatchScheduler::AdvanceRows(const std::vector<Trajectory*>& rows,
                                 StepOutcome& outcome, Report* report) {
  for (FinishedImage& preview : outcome.previews) {
    const Trajectory& row = *rows[preview.row];
    Request& request = *row.request;
    if (request.ended) continue;
    request.outbox->PostPreview(
        {row.image_index, request.version->shape, request.pixel_format,
         std::move(preview.pixels)},
        row.step);
    report->AddOutbox(request.outbox);
  }
  auto image = outcome.finished.begin();
  int delivered = 0;
  for (Trajectory* row : rows) {
    Request& request = *row->request;
    --request.steps_left;
    if (row->step > 0) {
      --row->step;
      row->state = Trajectory::State::kReady;
      continue;
    }
    if (request.ended) {
      report->wasted_steps[static_cast<size_t>(request.waste_reason)] +=
          request.first_step + 1;
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
        trajectory.request->first_step - trajectory.step;
    lanes_[trajectory.lane].forget.push_back(trajectory.id);
    work_.SignalAll();
  }
  trajectory.request->steps_left -= trajectory.step + 1;
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
  LeaveFlow(request.flow);
  queued_bytes_ -= request.bytes;
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
