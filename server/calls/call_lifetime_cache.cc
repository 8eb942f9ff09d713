// What CallLifetime does where images are kept.
#include <utility>

#include "engine/base/monotonic_clock.h"
#include "server/calls/call_lifetime.h"

namespace ddgan {

// Says of each image which one of the call's it is.
class CallLifetime::Part final : public GenerationSink {
 public:
  // Is submitted now. `positions` of the images in the call, in the order of
  // those in the part.
  Part(std::shared_ptr<CallLifetime> call, std::vector<uint32_t> positions)
      : call_(std::move(call)),
        positions_(std::move(positions)),
        submitted_(call_->SubmissionTime()) {}

  void OnImage(GeneratedImage image) override {
    image.position = positions_.at(image.position);
    call_->OnImage(std::move(image));
  }
  void OnFinished(const absl::Status& status,
                  const GenerationTimings& timings) override {
    call_->FinishRequest(status, timings, submitted_);
  }

 private:
  const std::shared_ptr<CallLifetime> call_;
  const std::vector<uint32_t> positions_;
  const std::optional<absl::Time> submitted_;
};

absl::StatusOr<Acceptance> CallLifetime::SubmitWhatIsNotKept(
    std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide) {
  absl::StatusOr<Shares> shares = Ask(std::move(place), guide);
  if (!shares.ok()) return shares.status();
  absl::StatusOr<Acceptance> acceptance = without_work_;
  if (shares->place != nullptr) {
    acceptance = SubmitToEngine(
        std::move(shares->place), std::move(guide),
        std::make_shared<Part>(shared_from_this(), std::move(shares->to_make)));
    if (!acceptance.ok()) return acceptance;
  } else {
    absl::MutexLock lock(&mu_);
    acceptance_ = without_work_;
  }
  if (!shares->kept.empty()) {
    // Large images take a while to copy.
    RunOnEncoder([this, kept = std::move(shares->kept)] {
      for (const auto& [position, image] : kept) TakeImage(position, image);
    });
  }
  WatchDeadline();
  return acceptance;
}

absl::StatusOr<CallLifetime::Shares> CallLifetime::Ask(
    std::unique_ptr<Reservation> place,
    const std::shared_ptr<const Picture>& guide) {
  const GenerationRequest& generation = request_.generation;
  const MakingTurn turn = {.caller = generation.caller,
                           .request_class = generation.request_class,
                           .deadline = deadline_};
  Shares shares;
  // Whoever tells of an image meanwhile waits until all are asked for.
  absl::MutexLock lock(&mu_);
  if (abandoned_) return absl::CancelledError("cancelled before its images");
  for (uint32_t position = 0; position < generation.count; ++position) {
    ImageCache::Found found = parts_.cache->Ask(
        KeyOf(position),
        {.asker = shared_from_this(), .position = position, .turn = turn});
    switch (found.answer) {
      case ImageCache::Answer::kKept:
        shares.kept.emplace_back(position, std::move(found.image));
        break;
      case ImageCache::Answer::kJoined:
        joined_.insert(position);
        ++pending_;
        break;
      case ImageCache::Answer::kMake:
        shares.to_make.push_back(position);
        making_.insert(position);
        break;
    }
  }
  if (shares.to_make.size() == generation.count) {
    shares.place = std::move(place);
  } else if (!shares.to_make.empty()) {
    shares.place = place->Take(shares.to_make);
  }
  if (joined_.empty()) return shares;
  if (!shares.kept.empty()) {
    std::vector<uint32_t> kept;
    for (const auto& [position, image] : shares.kept) kept.push_back(position);
    place->Take(kept).reset();  // Needs no room.
  }
  joined_place_ = std::move(place);
  guide_ = guide;
  return shares;
}

void CallLifetime::OnImageMade(uint32_t position, ImageCache::Image image) {
  parts_.encode_pool->Run(
      [self = shared_from_this(), position, image = std::move(image)] {
        self->TakeImage(position, image);
        self->Release();
      });
}

void CallLifetime::OnTakeOver(uint32_t position) {
  parts_.encode_pool->Run([self = shared_from_this(), position] {
    self->TakeOver(position);
    self->Release();
  });
}

void CallLifetime::TakeImage(uint32_t position,
                             const ImageCache::Image& image) {
  std::unique_ptr<Reservation> not_needed;
  {
    absl::MutexLock lock(&mu_);
    not_needed = TakeJoined(position);
    if (abandoned_) return;
    encoded_[position] = true;
  }
  HandleImage(position, *image);
}

void CallLifetime::TakeOver(uint32_t position) {
  std::unique_ptr<Reservation> place;
  std::shared_ptr<const Picture> guide;
  bool failed = false;
  {
    absl::MutexLock lock(&mu_);
    guide = guide_;
    place = TakeJoined(position);
    failed = abandoned_ || !error_.ok();
    if (!failed) making_.insert(position);
  }
  if (failed) {
    parts_.cache->GiveUp(KeyOf(position), this, position);
    return;
  }
  const absl::Status status =
      SubmitToEngine(std::move(place), std::move(guide),
                     std::make_shared<Part>(shared_from_this(),
                                            std::vector<uint32_t>{position}))
          .status();
  if (!status.ok()) Fail(status);
}

std::unique_ptr<Reservation> CallLifetime::TakeJoined(uint32_t position) {
  if (joined_.erase(position) == 0) return nullptr;
  std::unique_ptr<Reservation> place = joined_place_->Take({position});
  if (joined_.empty()) {
    joined_place_.reset();
    guide_.reset();
  }
  return place;
}

void CallLifetime::DropRest() {
  std::vector<RequestId> requests;
  std::vector<uint32_t> waiting;
  {
    absl::MutexLock lock(&mu_);
    requests = requests_;
    waiting.assign(joined_.begin(), joined_.end());
  }
  for (const RequestId id : requests) parts_.engine->Cancel(id);
  for (const uint32_t position : waiting) {
    if (!parts_.cache->Leave(KeyOf(position), this, position)) continue;
    std::unique_ptr<Reservation> not_needed;
    {
      absl::MutexLock lock(&mu_);
      not_needed = TakeJoined(position);
    }
    // Not here: it may end the call, which serialises a reply.
    parts_.encode_pool->Run([self = shared_from_this()] { self->Release(); });
  }
}

void CallLifetime::WatchDeadline() {
  if (deadline_ == absl::InfiniteFuture()) return;
  absl::MutexLock lock(&mu_);
  if (joined_.empty()) return;
  alarm_ = parts_.timer->Add(deadline_ - RealMonotonicClock()->Now(),
                             [call = weak_from_this()] {
                               const auto self = call.lock();
                               if (self != nullptr) self->OnDeadline();
                             });
}

void CallLifetime::OnDeadline() {
  {
    absl::MutexLock lock(&mu_);
    if (joined_.empty()) return;
  }
  Fail(absl::DeadlineExceededError(
      "the deadline passed while another call had the image made"));
}

}  // namespace ddgan
