#include "server/connections/peer_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace ddgan {
namespace {

constexpr size_t kNetworkBytes = 8;  // Of the 16 of an IPv6 address.

std::string ToText(const in6_addr& address) {
  char text[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    return inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof(text));
  }
  return inet_ntop(AF_INET6, &address, text, sizeof(text));
}

}  // namespace

PeerEndpoint EndpointOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof(v4));
    char text[INET_ADDRSTRLEN];
    return {inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text)),
            ntohs(v4.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof(v6));
    return {ToText(v6.sin6_addr), ntohs(v6.sin6_port)};
  }
  return {};
}

PeerEndpoint EndpointOf(absl::string_view grpc_peer) {
  const bool is_ip = absl::ConsumePrefix(&grpc_peer, "ipv4:") ||
                     absl::ConsumePrefix(&grpc_peer, "ipv6:");
  const size_t colon = grpc_peer.rfind(':');
  PeerEndpoint endpoint;
  if (!is_ip || colon == absl::string_view::npos ||
      !absl::SimpleAtoi(grpc_peer.substr(colon + 1), &endpoint.port)) {
    return {};
  }
  absl::string_view host = grpc_peer.substr(0, colon);
  // gRPC writes the brackets of an IPv6 address as in a URI.
  if (absl::ConsumePrefix(&host, "%5B")) {
    absl::ConsumeSuffix(&host, "%5D");
  } else if (absl::ConsumePrefix(&host, "[")) {
    absl::ConsumeSuffix(&host, "]");
  }
  // The scope of a link-local address, which a sockaddr has in a field.
  host = host.substr(0, host.find('%'));
  endpoint.host = std::string(host);
  return endpoint;
}

std::string PeerGroup(const std::string& host) {
  in6_addr address;
  if (inet_pton(AF_INET6, host.c_str(), &address) != 1) return host;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return ToText(address);
  std::fill(address.s6_addr + kNetworkBytes, std::end(address.s6_addr), 0);
  return absl::StrCat(ToText(address), "/64");
}

}  // namespace ddgan
