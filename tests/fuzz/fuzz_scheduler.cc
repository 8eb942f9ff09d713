// The scheduler against a model of it: the input is a series of arrivals,
// places that are held, cancellations, steps that go well or not, lanes that
// hang and moves of the clock.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/requests/admission.h"
#include "engine/scheduling/batch_scheduler.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/scheduler_model.h"

namespace ddgan {
namespace {

struct HeldPlace {
  std::unique_ptr<BatchScheduler::Place> place;
  Claim claim;
};

class SchedulerModel {
 public:
  explicit SchedulerModel(InputReader* input) : input_(*input) {
    BatchLimits limits;
    limits.max_batch_size = input_.Between(1, 6);
    limits.max_wait = absl::Milliseconds(input_.Between(0, 2));
    options_.lane_limits.assign(input_.Between(1, 3), limits);
    options_.max_queued_images = input_.Between(8, 40);
    options_.caller_weights = {{"a", 2}};
    options_.outage_limit = absl::Milliseconds(input_.Between(1, 200));
    for (const char* name : {"a", "b"}) {
      ServableVersion version;
      version.identity = {name, 1, "digest"};
      version.shape = {1, 2, 2};
      version.num_timesteps = input_.Between(1, 4);
      version.evaluations = version.num_timesteps;
      versions_.push_back(
          std::make_shared<const ServableVersion>(std::move(version)));
    }
    GenerationRequest full;
    full.count = input_.Between(4, 8);
    full_ = ClaimOf(full, versions_[0], clock_.Now());
    options_.max_queued_bytes = full_.bytes;
    lanes_.resize(options_.lane_limits.size());
    scheduler_.emplace(options_, &observer_, &clock_);
  }

  void Run() {
    for (int event = 0; event < 400 && !input_.empty(); ++event) {
      Act();
      Require(observer_.images == ImagesInFlight(),
              "what is in flight is told");
    }
    Settle();
  }

 private:
  void Act() {
    switch (input_.Between(0, 9)) {
      case 0:
      case 1:
        Arrive();
        break;
      case 2:
        if (places_.empty()) break;
        if (input_.OneIn(3)) {
          places_.erase(places_.begin());
        } else {
          Submit(TakePlace());
        }
        break;
      case 3:
        CancelOne();
        break;
      case 4:
        scheduler_->Sweep();
        RequireSwept();
        break;
      case 5:
        clock_.Advance(input_.OneIn(8)
                           ? absl::Seconds(31)
                           : absl::Milliseconds(input_.Between(0, 20)));
        break;
      case 6:
        if (input_.OneIn(8)) Abandon(AnyLane());
        if (input_.OneIn(64)) Drain();
        break;
      default:
        AdvanceLane(AnyLane(), /*well=*/false);
    }
  }

  size_t AnyLane() {
    return input_.Between(0, static_cast<int>(lanes_.size()) - 1);
  }

  // Images and bytes that are booked.
  int ImagesInFlight() const {
    int images = 0;
    for (const auto& request : requests_) {
      images += request->status.has_value()
                    ? RowsRunning(lanes_, *request)
                    : static_cast<int>(request->asked.count -
                                       request->delivered.size());
    }
    return images;
  }
  int ImagesBooked() const {
    int images = ImagesInFlight();
    for (const HeldPlace& held : places_) images += held.claim.images;
    return images;
  }
  int64_t BytesBooked() const {
    int64_t bytes = 0;
    for (const HeldPlace& held : places_) bytes += held.claim.bytes;
    for (const auto& request : requests_) {
      if (!request->status.has_value() || RowsRunning(lanes_, *request) > 0) {
        bytes += request->bytes;
      }
    }
    return bytes;
  }
  bool AnyLaneUp() const {
    return std::any_of(lanes_.begin(), lanes_.end(),
                       [](const ModelLane& lane) { return lane.up; });
  }

  void Arrive() {
    GenerationRequest request;
    request.count = input_.Between(1, 6);
    request.first_index = input_.OneIn(8) ? -request.count : 0;
    request.seed = ++arrivals_;
    const int kind = input_.Between(0, 255);
    request.caller = kind & 1 ? "a" : "b";
    if (kind & 2) request.request_class = RequestClass::kBatch;
    if (kind & 4) request.pixel_format = PixelFormat::kFloat32;
    request.previews = (kind & 8) != 0;
    if (kind & 16) request.caller_weight = input_.Between(1, 4);
    if (kind & 32) {
      request.deadline =
          clock_.Now() + absl::Milliseconds(input_.Between(0, 40));
    }
    const auto& version = versions_[(kind & 64) != 0];
    if (kind & 128) {
      request.guide.emplace();
      request.guide->steps = input_.Between(1, version->evaluations);
      request.guide->picture = version->shape;
    }
    const Claim claim = ClaimOf(request, version, clock_.Now());
    const bool ever_fits = claim.images <= options_.max_queued_images &&
                           claim.bytes <= options_.max_queued_bytes;
    const bool fits =
        ImagesBooked() + claim.images <= options_.max_queued_images &&
        BytesBooked() + claim.bytes <= options_.max_queued_bytes;
    auto place = scheduler_->Reserve(version, request);
    RequireJust(place.status(), request, fits, ever_fits);
    if (!place.ok()) return;
    places_.push_back({*std::move(place), claim});
    if (!input_.OneIn(4)) Submit(TakePlace());
  }

  // Whether a request is refused only for what is so, and whatever can be taken
  // is taken.
  void RequireJust(const absl::Status& status, const GenerationRequest& request,
                   bool fits, bool ever_fits) {
    const bool timed = request.deadline != absl::InfiniteFuture();
    if (absl::IsInvalidArgument(status)) {
      Require(!ever_fits, "an idle engine has room");
    } else if (absl::IsResourceExhausted(status)) {
      Require(!fits && ever_fits, "there is room");
    } else if (absl::IsDeadlineExceeded(status)) {
      Require(timed, "there is time");
    } else if (absl::IsUnavailable(status)) {
      Require(draining_ || !AnyLaneUp(), "the engine is open");
    } else {
      Require(status.ok(), "no other refusal");
      Require(fits, "there is no room");
      Require(!draining_, "the engine drains");
      Require(request.deadline > clock_.Now(), "the deadline has passed");
    }
  }

  HeldPlace TakePlace() {
    HeldPlace held = std::move(places_.back());
    places_.pop_back();
    return held;
  }

  void Submit(HeldPlace held) {
    const GenerationRequest asked = held.place->request();
    auto request = std::make_shared<Accepted>(asked, held.claim.version);
    request->bytes = held.claim.bytes;
    if (asked.guide) {
      request->bytes -= static_cast<int64_t>(asked.guide->picture.numel());
      request->guide = std::make_shared<const std::vector<float>>(4, 0.5f);
    }
    if (input_.OneIn(16)) request->cancel_at_image = &*scheduler_;
    const auto acceptance =
        scheduler_->Submit(std::move(held.place), request->guide, request);
    if (!acceptance.ok()) {
      RequireJust(acceptance.status(), asked, /*fits=*/true,
                  /*ever_fits=*/true);
      return;
    }
    request->id = acceptance->id;
    Require(acceptance->evaluations == request->version->evaluations &&
                acceptance->shape == request->version->shape,
            "what is accepted is told");
    requests_.push_back(std::move(request));
  }

  void CancelOne() {
    if (requests_.empty() || input_.OneIn(8)) {
      scheduler_->Cancel(1 << 20);  // There is none.
      return;
    }
    Accepted& request = *requests_[input_.Bits(1) % requests_.size()];
    request.cancelled = true;
    scheduler_->Cancel(request.id);
  }

  void RequireSwept() {
    for (const auto& request : requests_) {
      Require(
          request->status.has_value() ||
              (!request->cancelled && request->asked.deadline > clock_.Now()),
          "a sweep ends what was cancelled or has expired");
    }
  }

  void Drain() {
    scheduler_->Drain(clock_.Now());
    draining_ = true;
    for (const auto& request : requests_) {
      Require(request->status.has_value(), "nothing is left of a drain");
    }
  }

  void Abandon(size_t i) {
    ModelLane& lane = lanes_[i];
    scheduler_->AbandonLane(i);
    if (!lane.up) return;
    lane.up = false;
    outage_ |= !AnyLaneUp();
    lane.abandoned = !lane.batch.rows.empty();
    if (!lane.abandoned) lane.next_step.clear();
  }

  // Does what the thread of a lane does next; `well`: nothing fails.
  void AdvanceLane(size_t i, bool well) {
    ModelLane& lane = lanes_[i];
    if (!lane.batch.rows.empty()) {
      FinishStep(i, well);
    } else if (lane.up) {
      TakeBatch(i);
    } else if (!well && input_.OneIn(4)) {
      scheduler_->LaneCreationFailed(i);
    } else {
      if (input_.OneIn(2)) {
        clock_.Advance(LaneHealth::kMaxBackoff);
        Require(scheduler_->AwaitRetry(i), "a lane that is out tries again");
      }
      scheduler_->ReturnLane(i);
      lane.up = true;
    }
    outage_ |= !AnyLaneUp();
    Require(scheduler_->AnyLaneUp() == AnyLaneUp(), "which lanes are up");
  }

  void TakeBatch(size_t i) {
    ModelLane& lane = lanes_[i];
    scheduler_->Interrupt(i);
    Require(scheduler_->NextBatch(i, &lane.batch), "not stopped");
    RequireSwept();
    for (const TrajectoryId id : lane.batch.forget) lane.next_step.erase(id);
    Require(lane.batch.rows.size() <=
                static_cast<size_t>(scheduler_->max_batch_size(i)),
            "no more rows than the lane takes");
    std::set<TrajectoryId> ids;
    for (const StepRow& row : lane.batch.rows) {
      RequireRow(lanes_, i, row, RequestOf(row));
      Require(ids.insert(row.id).second, "no row is twice in a batch");
    }
  }

  const Accepted& RequestOf(const StepRow& row) const {
    const auto found = std::find_if(
        requests_.begin(), requests_.end(),
        [&row](const auto& r) { return r->asked.seed == row.seed; });
    Require(found != requests_.end(), "a row is of a request");
    return **found;
  }

  void FinishStep(size_t i, bool well) {
    ModelLane& lane = lanes_[i];
    const int luck = well ? 255 : input_.Between(0, 255);
    absl::StatusOr<StepOutcome*> result = &outcome_;
    if (luck < 12) {
      result = absl::InternalError("scripted");
    } else if (luck < 24) {
      result = absl::ResourceExhaustedError("scripted");
    } else {
      MoveRows(/*not_finite=*/luck < 48, &input_, &lane, &outcome_);
      // One that does not fit the batch.
      if (luck < 52) outcome_.finished.push_back({lane.batch.rows.size(), {}});
    }
    failures_ |= luck < 52;
    if (result.ok() && (luck >= 52 || lane.abandoned)) {
      rows_run_ += static_cast<int>(lane.batch.rows.size());
    }
    const bool abandoned = lane.abandoned;
    lane.batch.rows.clear();
    const LaneHealth::Action action = scheduler_->FinishBatch(i, result);
    lane.abandoned = false;
    Require(!abandoned || action == LaneHealth::Action::kTakeOut,
            "a lane that was given up starts anew");
    if (action == LaneHealth::Action::kTakeOut) {
      lane.up = false;
    } else if (action == LaneHealth::Action::kProbe && input_.OneIn(2)) {
      scheduler_->ProbeFailed(i, absl::InternalError("scripted"));
      lane.up = false;
    }
    if (!lane.up) lane.next_step.clear();
  }

  bool AllEnded() const {
    return std::all_of(
        requests_.begin(), requests_.end(),
        [](const auto& request) { return request->status.has_value(); });
  }

  // No more arrivals: everything ends within a bounded number of ticks, and
  // nothing is left.
  void Settle() {
    const auto tick = [this] {
      clock_.Advance(absl::Milliseconds(1));
      for (size_t i = 0; i < lanes_.size(); ++i) AdvanceLane(i, /*well=*/true);
    };
    for (int i = 0; i < 500 && !AllEnded(); ++i) tick();
    // Lanes come back, end their steps and are told what to forget.
    for (int i = 0; i < 4; ++i) tick();
    int accounted = observer_.wasted;
    for (const auto& request : requests_) {
      Require(request->status.has_value(), "every request ends");
      RequireEnd(*request);
      accounted +=
          request->steps() * static_cast<int>(request->delivered.size());
    }
    Require(accounted == rows_run_, "every step is in an image or waste");
    Require(observer_.images == 0, "no image is left");
    for (const ModelLane& lane : lanes_) {
      Require(lane.next_step.empty(), "devices are told to forget");
    }
    places_.clear();
    if (draining_) return;
    // All that there is room for, and no byte less.
    GenerationRequest full;
    full.count = static_cast<uint32_t>(full_.images);
    Require(scheduler_->Reserve(versions_[0], full).ok(), "all room is back");
  }

  void RequireEnd(const Accepted& request) {
    const absl::Status& status = *request.status;
    Require(
        status.ok() || (absl::IsCancelled(status) && request.cancelled) ||
            (absl::IsDeadlineExceeded(status) &&
             request.asked.deadline <= clock_.Now()) ||
            (absl::IsUnavailable(status) && (draining_ || outage_)) ||
            ((absl::IsInternal(status) || absl::IsResourceExhausted(status)) &&
             failures_),
        "a request ends for what has happened");
  }

  InputReader& input_;
  ManualClock clock_;
  SchedulerObserver observer_;
  BatchScheduler::Options options_;
  std::vector<std::shared_ptr<const ServableVersion>> versions_;
  Claim full_;  // Takes all bytes that there are.
  std::vector<ModelLane> lanes_;
  std::vector<std::shared_ptr<Accepted>> requests_;
  StepOutcome outcome_;
  uint64_t arrivals_ = 0;
  int rows_run_ = 0;
  bool draining_ = false;
  bool failures_ = false;
  bool outage_ = false;  // Every lane was out at some time.
  std::optional<BatchScheduler> scheduler_;
  std::vector<HeldPlace> places_;  // Before the scheduler ends.
};

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::InputReader input(data, size);
  ddgan::SchedulerModel(&input).Run();
  return 0;
}
