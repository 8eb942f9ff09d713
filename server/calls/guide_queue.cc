#include "server/calls/guide_queue.h"

#include <algorithm>
#include <utility>

namespace ddgan {

bool HasGuideRoom(const GuideRoom& all, const GuideRoom& booked,
                  const GuideRoom& own, const GuideRoom& wanted) {
  return own.images + wanted.images <=
             all.images - booked.images - wanted.images &&
         own.bytes + wanted.bytes <= all.bytes - booked.bytes - wanted.bytes;
}

std::optional<GuideQueue::Id> GuideQueue::Book(const std::string& caller,
                                               GuideRoom wanted) {
  wanted.images = std::min(wanted.images, room_.images / 2);
  const auto found = callers_.find(caller);
  const GuideRoom own =
      found == callers_.end() ? GuideRoom() : found->second.booked;
  if (!HasGuideRoom(room_, booked_, own, wanted)) {
    return std::nullopt;
  }
  for (GuideRoom* const room : {&booked_, &callers_[caller].booked}) {
    room->images += wanted.images;
    room->bytes += wanted.bytes;
  }
  const Id id = next_id_++;
  guides_[id] = {caller, wanted};
  return id;
}

void GuideQueue::Add(Id id) {
  const std::string& name = guides_.at(id).caller;
  std::deque<Id>& waiting = callers_.at(name).waiting;
  if (waiting.empty()) turns_.push_back(name);
  waiting.push_back(id);
}

std::optional<GuideQueue::Id> GuideQueue::Next() {
  if (turns_.empty()) return std::nullopt;
  std::string name = std::move(turns_.front());
  turns_.pop_front();
  std::deque<Id>& waiting = callers_.at(name).waiting;
  const Id id = waiting.front();
  waiting.pop_front();
  if (!waiting.empty()) turns_.push_back(std::move(name));
  return id;
}

bool GuideQueue::Remove(Id id) {
  const auto guide = guides_.find(id);
  if (guide == guides_.end()) return false;
  const std::string& name = guide->second.caller;
  std::deque<Id>& waiting = callers_.at(name).waiting;
  const auto place = std::find(waiting.begin(), waiting.end(), id);
  if (place == waiting.end()) return false;
  waiting.erase(place);
  if (waiting.empty()) {
    turns_.erase(std::find(turns_.begin(), turns_.end(), name));
  }
  return true;
}

void GuideQueue::Release(Id id) {
  const auto guide = guides_.find(id);
  const auto caller = callers_.find(guide->second.caller);
  for (GuideRoom* const room : {&booked_, &caller->second.booked}) {
    room->images -= guide->second.booked.images;
    room->bytes -= guide->second.booked.bytes;
  }
  if (caller->second.booked.images == 0) callers_.erase(caller);
  guides_.erase(guide);
}

}  // namespace ddgan
