#include "server/calls/image_cache.h"

#include <algorithm>
#include <optional>

namespace ddgan {
namespace {

// The deadlines of two attempts that their caller gave the same one are this
// far from each other at most: gRPC sends the time that is left, rounded.
constexpr absl::Duration kSameDeadline = absl::Milliseconds(100);

}  // namespace

bool MayJoin(const MakingTurn& asker, const MakingTurn& maker, bool few_ahead) {
  if (maker.request_class == RequestClass::kBatch &&
      asker.request_class == RequestClass::kInteractive) {
    return false;
  }
  // The engine hurries by the maker's deadline, and by no asker's.
  if (maker.deadline > asker.deadline + kSameDeadline) return false;
  return few_ahead || asker.caller == maker.caller;
}

ImageCache::ImageCache(int64_t max_bytes, CallObserver* observer)
    : max_bytes_(max_bytes), observer_(observer) {}

ImageCache::Found ImageCache::Ask(const std::string& key, Want want) {
  absl::MutexLock lock(&mu_);
  if (const auto kept = index_.find(key); kept != index_.end()) {
    kept_.splice(kept_.begin(), kept_, kept->second);
    observer_->OnImageAsked(ImageSource::kKept);
    return {Answer::kKept, kept->second->image};
  }
  const bool joined = JoinOrMake(makings_[key], std::move(want));
  observer_->OnImageAsked(joined ? ImageSource::kJoined : ImageSource::kMade);
  return {joined ? Answer::kJoined : Answer::kMake, nullptr};
}

bool ImageCache::JoinOrMake(std::vector<Making>& makings, Want want) {
  for (Making& making : makings) {
    if (MayJoin(want.turn, making.maker.turn, making.few_ahead)) {
      making.waiting.push_back(std::move(want));
      return true;
    }
  }
  makings.push_back({.maker = std::move(want),
                     .few_ahead = being_made_ <= kFewAhead,
                     .waiting = {}});
  ++being_made_;
  return false;
}

void ImageCache::Publish(const std::string& key, Image image) {
  std::vector<Making> made;
  {
    absl::MutexLock lock(&mu_);
    Keep(key, image);
    if (const auto found = makings_.find(key); found != makings_.end()) {
      made = std::move(found->second);
      makings_.erase(found);
      being_made_ -= static_cast<int>(made.size());
    }
  }
  for (const Making& making : made) {
    for (const Want& want : making.waiting) {
      want.asker->OnImageMade(want.position, image);
    }
  }
}

void ImageCache::GiveUp(const std::string& key, const Asker* maker,
                        uint32_t position) {
  std::optional<Making> given_up;  // Its calls go without the lock.
  std::vector<std::pair<std::shared_ptr<Asker>, uint32_t>> take_over;
  {
    absl::MutexLock lock(&mu_);
    const auto found = makings_.find(key);
    if (found == makings_.end()) return;
    std::vector<Making>& makings = found->second;
    const auto own =
        std::find_if(makings.begin(), makings.end(), [&](const Making& making) {
          return making.maker.asker.get() == maker &&
                 making.maker.position == position;
        });
    if (own == makings.end()) return;
    given_up = std::move(*own);
    makings.erase(own);
    --being_made_;
    // The most urgent first, so that all others may wait for it.
    std::stable_sort(given_up->waiting.begin(), given_up->waiting.end(),
                     [](const Want& a, const Want& b) {
                       return std::pair(a.turn.request_class, a.turn.deadline) <
                              std::pair(b.turn.request_class, b.turn.deadline);
                     });
    for (Want& want : given_up->waiting) {
      std::pair who(want.asker, want.position);
      if (!JoinOrMake(makings, std::move(want))) {
        take_over.push_back(std::move(who));
      }
    }
    if (makings.empty()) makings_.erase(found);
  }
  for (const auto& [asker, at] : take_over) asker->OnTakeOver(at);
}

bool ImageCache::Leave(const std::string& key, const Asker* asker,
                       uint32_t position) {
  std::optional<Want> left;  // Goes without the lock.
  absl::MutexLock lock(&mu_);
  const auto found = makings_.find(key);
  if (found == makings_.end()) return false;
  for (Making& making : found->second) {
    const auto waits = std::find_if(
        making.waiting.begin(), making.waiting.end(), [&](const Want& want) {
          return want.asker.get() == asker && want.position == position;
        });
    if (waits == making.waiting.end()) continue;
    left = std::move(*waits);
    making.waiting.erase(waits);
    return true;
  }
  return false;
}

void ImageCache::Keep(const std::string& key, Image image) {
  const int64_t bytes = BytesOf(key, image);
  if (bytes > max_bytes_ || index_.contains(key)) return;
  int evicted = 0;
  while (bytes_ > max_bytes_ - bytes) {
    const Kept& oldest = kept_.back();
    bytes_ -= oldest.bytes;
    index_.erase(oldest.key);
    kept_.pop_back();
    ++evicted;
  }
  kept_.push_front({key, std::move(image), bytes});
  index_.emplace(kept_.front().key, kept_.begin());
  bytes_ += bytes;
  observer_->OnImageKept(bytes_, evicted);
}

int64_t ImageCache::bytes() const {
  absl::MutexLock lock(&mu_);
  return bytes_;
}

int64_t ImageCache::BytesOf(const std::string& key, const Image& image) {
  auto bytes = kImageOverheadBytes + static_cast<int64_t>(key.size());
  for (const std::string& data : *image) {
    bytes += kFormatOverheadBytes + static_cast<int64_t>(data.size());
  }
  return bytes;
}

}  // namespace ddgan
