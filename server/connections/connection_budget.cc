#include "server/connections/connection_budget.h"

#include <algorithm>
#include <cerrno>

namespace ddgan {
namespace {

// For versions being loaded, the HTTP port and probes.
constexpr int64_t kDescriptorsKept = 48;
constexpr int64_t kDescriptorsPerConnection = 2;

}  // namespace

std::optional<ConnectionRefusal> ConnectionBudget::Admit(
    const std::string& peer) {
  if (open_ >= limits_.total) return ConnectionRefusal::kTotal;
  const auto found = open_by_peer_.find(peer);
  if (found == open_by_peer_.end()) {
    open_by_peer_.emplace(peer, 1);
  } else if (found->second >= limits_.per_peer) {
    return ConnectionRefusal::kPeer;
  } else {
    ++found->second;
  }
  ++open_;
  return std::nullopt;
}

void ConnectionBudget::Release(const std::string& peer) {
  const auto found = open_by_peer_.find(peer);
  if (found == open_by_peer_.end()) return;
  --open_;
  if (--found->second == 0) open_by_peer_.erase(found);
}

ConnectionBudget::Limits FitToDescriptors(
    const ConnectionBudget::Limits& wanted, int64_t descriptor_limit,
    int64_t descriptors_in_use) {
  const int64_t fits = std::max<int64_t>(
      1, (descriptor_limit - descriptors_in_use - kDescriptorsKept) /
             kDescriptorsPerConnection);
  if (fits >= wanted.total) return wanted;
  ConnectionBudget::Limits lowered;
  lowered.total = static_cast<int>(fits);
  lowered.per_peer = std::min(wanted.per_peer, std::max(1, lowered.total / 2));
  return lowered;
}

AcceptError ClassifyAcceptError(int error) {
  switch (error) {
    case EAGAIN:
      return AcceptError::kNothingWaits;
    case EMFILE:
    case ENFILE:
      return AcceptError::kOutOfDescriptors;
    // What accept(2) passes on of the connection's own errors, and a signal.
    case ECONNABORTED:
    case EINTR:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
      return AcceptError::kNextOne;
    default:
      return AcceptError::kPause;
  }
}

}  // namespace ddgan
