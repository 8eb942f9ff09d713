#include "server/calls/guide_decoder.h"

#include <utility>

namespace ddgan {

GuideDecoder::Room::Room(Room&& other) noexcept
    : decoder_(std::exchange(other.decoder_, nullptr)), id_(other.id_) {}

GuideDecoder::Room& GuideDecoder::Room::operator=(Room&& other) noexcept {
  std::swap(decoder_, other.decoder_);
  std::swap(id_, other.id_);
  return *this;
}

GuideDecoder::Room::~Room() {
  if (decoder_ == nullptr) return;
  absl::MutexLock lock(&decoder_->mu_);
  decoder_->queue_.Release(id_);
}

std::optional<GuideDecoder::Room> GuideDecoder::Reserve(
    const std::string& caller, GuideRoom wanted) {
  absl::MutexLock lock(&mu_);
  const std::optional<Id> id = queue_.Book(caller, wanted);
  if (!id.has_value()) return std::nullopt;
  return Room(this, *id);
}

GuideDecoder::Id GuideDecoder::Run(Room room, Task task) {
  const Id id = room.id_;
  absl::Status closed;
  {
    absl::MutexLock lock(&mu_);
    closed = closed_;
    if (closed.ok()) {
      queue_.Add(id);
      waiting_.emplace(id, Waiting{std::move(room), std::move(task)});
    }
  }
  if (!closed.ok()) {
    task(closed);
    return id;
  }
  // Once for each task, whichever one it then runs.
  threads_.Run([this] { RunNext(); });
  return id;
}

bool GuideDecoder::Withdraw(Id id) {
  // Both give things back when they are destroyed, which is without the lock.
  std::map<Id, Waiting>::node_type withdrawn;
  absl::MutexLock lock(&mu_);
  if (!queue_.Remove(id)) return false;
  withdrawn = waiting_.extract(id);
  return true;
}

void GuideDecoder::Close(const absl::Status& reason) {
  std::map<Id, Waiting> waiting;
  {
    absl::MutexLock lock(&mu_);
    closed_ = reason;
    for (const auto& [id, guide] : waiting_) queue_.Remove(id);
    waiting.swap(waiting_);
  }
  for (auto& [id, guide] : waiting) guide.task(reason);
}

void GuideDecoder::RunNext() {
  std::map<Id, Waiting>::node_type next;
  {
    absl::MutexLock lock(&mu_);
    const std::optional<Id> id = queue_.Next();
    if (!id.has_value()) return;  // Others were withdrawn.
    next = waiting_.extract(*id);
  }
  next.mapped().task(absl::OkStatus());
}

}  // namespace ddgan
