#include "server/connections/request_gate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// Whether a group that has `own` of `taken` may have one more of `limit`.
bool LeavesAsMuch(int own, int taken, int limit) { return own < limit - taken; }

}  // namespace

RequestGate::RequestGate(const Limits& limits, DeadlineTimer* timer,
                         ConnectionObserver* observer)
    : limits_(limits), timer_(timer), observer_(observer) {}

RequestGate::~RequestGate() = default;

void RequestGate::Enter(const std::string& group,
                        std::shared_ptr<Request> request) {
  absl::Status refusal;
  bool has_room = true;
  std::vector<std::shared_ptr<Request>> turns;
  {
    absl::MutexLock lock(&mu_);
    Group& own = groups_[group];
    if (closed_) {
      refusal = absl::UnavailableError("the server is shutting down");
    } else if (!LeavesAsMuch(static_cast<int>(own.waiting.size()), waiting_,
                             kWaitingPerArriving * limits_.arriving)) {
      has_room = false;
      // Clients try again after that, by themselves.
      refusal = absl::UnavailableError(
          "too many requests have begun and have not come in whole");
    } else {
      const uint64_t id = ++last_id_;
      request->id_ = id;
      own.waiting.push_back(id);
      ++waiting_;
      places_.emplace(
          id, Place{.request = request,
                    .group = group,
                    .timeout = timer_->Add(limits_.timeout,
                                           [this, id] { HandleTimeout(id); })});
      turns = TakeTurns();
    }
    if (own.arriving == 0 && own.waiting.empty()) groups_.erase(group);
  }
  for (const std::shared_ptr<Request>& turn : turns) turn->Receive();
  if (refusal.ok()) return;
  if (!has_room) observer_->OnRequestNotReceived(RequestLoss::kNoRoom);
  request->Refuse(refusal);
}

void RequestGate::Leave(const Request& request) {
  std::vector<std::shared_ptr<Request>> turns;
  {
    absl::MutexLock lock(&mu_);
    const auto found = places_.find(request.id_);
    if (found == places_.end()) return;
    timer_->Remove(found->second.timeout);
    Forget(request.id_);
    turns = TakeTurns();
  }
  for (const std::shared_ptr<Request>& turn : turns) turn->Receive();
}

void RequestGate::Close() {
  std::vector<std::shared_ptr<Request>> waiting;
  {
    absl::MutexLock lock(&mu_);
    closed_ = true;
    std::vector<uint64_t> ids;
    for (const auto& [id, place] : places_) {
      if (!place.arriving) ids.push_back(id);
    }
    for (const uint64_t id : ids) {
      timer_->Remove(places_.at(id).timeout);
      waiting.push_back(places_.at(id).request);
      Forget(id);
    }
  }
  for (const std::shared_ptr<Request>& request : waiting) {
    request->Refuse(absl::UnavailableError("the server is shutting down"));
  }
}

void RequestGate::HandleTimeout(uint64_t id) {
  std::shared_ptr<Request> request;
  bool arriving;
  bool first;
  {
    absl::MutexLock lock(&mu_);
    const auto found = places_.find(id);
    if (found == places_.end()) return;  // It left just now.
    Place& place = found->second;
    request = place.request;
    arriving = place.arriving;
    first = !std::exchange(place.timed_out, true);
    // One that is being received keeps its place until it leaves: what gRPC
    // holds of it is not gone before.
    if (arriving) {
      place.timeout =
          timer_->Add(limits_.timeout, [this, id] { HandleTimeout(id); });
    } else {
      Forget(id);
    }
  }
  if (first) observer_->OnRequestNotReceived(RequestLoss::kTimeout);
  const absl::Status status = absl::DeadlineExceededError(
      absl::StrCat("the request did not come in whole within ",
                   absl::FormatDuration(limits_.timeout)));
  if (arriving) {
    request->GiveUp(status);
  } else {
    request->Refuse(status);
  }
}

std::vector<std::shared_ptr<RequestGate::Request>> RequestGate::TakeTurns() {
  std::vector<std::shared_ptr<Request>> turns;
  while (waiting_ > 0) {
    auto next = groups_.end();
    for (auto it = groups_.begin(); it != groups_.end(); ++it) {
      const Group& group = it->second;
      if (group.waiting.empty() ||
          !LeavesAsMuch(group.arriving, arriving_, limits_.arriving)) {
        continue;
      }
      // Of two that receive as much, whoever has waited for longer.
      if (next == groups_.end() ||
          std::pair(group.arriving, group.waiting.front()) <
              std::pair(next->second.arriving, next->second.waiting.front())) {
        next = it;
      }
    }
    if (next == groups_.end()) break;
    Place& place = places_.at(next->second.waiting.front());
    next->second.waiting.pop_front();
    --waiting_;
    place.arriving = true;
    ++next->second.arriving;
    ++arriving_;
    turns.push_back(place.request);
  }
  return turns;
}

void RequestGate::Forget(uint64_t id) {
  const auto found = places_.find(id);
  const auto group = groups_.find(found->second.group);
  if (found->second.arriving) {
    --arriving_;
    --group->second.arriving;
  } else {
    --waiting_;
    std::erase(group->second.waiting, id);
  }
  if (group->second.arriving == 0 && group->second.waiting.empty()) {
    groups_.erase(group);
  }
  places_.erase(found);
}

}  // namespace ddgan
