#include "server/connections/open_watches.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/connections/peer_address.h"

namespace ddgan {

OpenWatches::Place::Place(OpenWatches* watches, std::string group)
    : watches_(watches), group_(std::move(group)) {}

OpenWatches::Place::Place(Place&& other) noexcept
    : watches_(std::exchange(other.watches_, nullptr)),
      group_(std::move(other.group_)) {}

OpenWatches::Place::~Place() {
  if (watches_ != nullptr) watches_->Leave(group_);
}

std::optional<OpenWatches::Place> OpenWatches::Enter(const std::string& peer) {
  std::string group = PeerGroup(EndpointOf(peer).host);
  {
    absl::MutexLock lock(&mu_);
    const auto own = of_group_.find(group);
    if ((own == of_group_.end() ? 0 : own->second) >= kMax - open_) {
      return std::nullopt;
    }
    ++of_group_[group];
    ++open_;
  }
  return Place(this, std::move(group));
}

void OpenWatches::Leave(const std::string& group) {
  absl::MutexLock lock(&mu_);
  const auto own = of_group_.find(group);
  if (--own->second == 0) of_group_.erase(own);
  --open_;
}

absl::Status OpenWatches::Refusal() {
  return absl::ResourceExhaustedError(
      absl::StrCat("too many watches are open: ", kMax,
                   " in all, and half of what is left for one address"));
}

}  // namespace ddgan
