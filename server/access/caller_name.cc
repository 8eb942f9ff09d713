#include "server/access/caller_name.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/connections/peer_address.h"

namespace ddgan {

absl::StatusOr<std::string> CallerName(const CallerEvidence& evidence) {
  if (!evidence.authenticated_name.empty()) return evidence.authenticated_name;
  const std::string& id = evidence.client_id;
  if (id.empty()) return PeerAddress(evidence.peer);
  if (id.size() > kMaxNameSize) {
    return absl::InvalidArgumentError(
        absl::StrCat(kClientIdKey, ": name of ", id.size(),
                     " bytes, allowed are at most ", kMaxNameSize));
  }
  const auto unprintable = std::find_if_not(id.begin(), id.end(), [](char c) {
    return absl::ascii_isprint(static_cast<unsigned char>(c));
  });
  if (unprintable != id.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        kClientIdKey, ": byte 0x",
        absl::Hex(static_cast<unsigned char>(*unprintable), absl::kZeroPad2),
        " at position ", unprintable - id.begin(),
        ", allowed is printable ASCII, [0x20, 0x7e]"));
  }
  return id;
}

std::string CallerAccount(const CallerEvidence& evidence) {
  if (!evidence.authenticated_name.empty()) {
    return absl::StrCat("name ", evidence.authenticated_name);
  }
  const PeerEndpoint peer = EndpointOf(evidence.peer);
  return absl::StrCat("address ", PeerGroup(peer.host));
}

std::string PeerAddress(absl::string_view peer) {
  PeerEndpoint endpoint = EndpointOf(peer);
  return endpoint.host.empty() ? std::string(peer) : std::move(endpoint.host);
}

}  // namespace ddgan
