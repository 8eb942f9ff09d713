#include "engine/scheduling/version_turns.h"

namespace ddgan {

size_t VersionTurns::Enter(
    const std::shared_ptr<const ServableVersion>& version) {
  size_t free = versions_.size();
  for (size_t number = 0; number < versions_.size(); ++number) {
    if (versions_[number] == version) {
      ++requests_[number];
      return number;
    }
    if (versions_[number] == nullptr) free = number;
  }
  if (free == versions_.size()) {
    versions_.emplace_back();
    requests_.emplace_back();
    last_turns_.emplace_back();
  }
  versions_[free] = version;
  requests_[free] = 1;
  // Behind the models that wait already, ahead of none.
  last_turns_[free] = turn_;
  for (size_t other = 0; other < versions_.size(); ++other) {
    if (other != free && IsSameModel(other, free)) {
      last_turns_[free] = last_turns_[other];
    }
  }
  return free;
}

void VersionTurns::Leave(size_t number) {
  if (--requests_[number] == 0) versions_[number].reset();
}

void VersionTurns::TakeTurn(size_t number) {
  ++turn_;
  for (size_t other = 0; other < versions_.size(); ++other) {
    if (IsSameModel(other, number)) last_turns_[other] = turn_;
  }
}

bool VersionTurns::IsSameModel(size_t a, size_t b) const {
  return versions_[a] != nullptr && versions_[b] != nullptr &&
         versions_[a]->identity.model == versions_[b]->identity.model;
}

}  // namespace ddgan
