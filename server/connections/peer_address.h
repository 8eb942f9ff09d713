// What a connection's peer address is compared and counted by.
#ifndef DDGAN_SERVER_CONNECTIONS_PEER_ADDRESS_H_
#define DDGAN_SERVER_CONNECTIONS_PEER_ADDRESS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <compare>
#include <string>

#include "absl/strings/string_view.h"

namespace ddgan {

// One end of a TCP connection as text. An IPv4 address that an IPv6 socket
// wrote (::ffff:10.0.0.7) is an IPv4 address here.
struct PeerEndpoint {
  std::string host;  // "10.0.0.7", "2001:db8::7"; empty: neither IPv4 nor IPv6
  int port = 0;

  friend bool operator==(const PeerEndpoint&, const PeerEndpoint&) = default;
  friend auto operator<=>(const PeerEndpoint&, const PeerEndpoint&) = default;
};

PeerEndpoint EndpointOf(const sockaddr_storage& address);

// Of a peer as gRPC writes it: "ipv4:10.0.0.7:51312", "ipv6:%5B::1%5D:51312".
// Nothing (an empty host) for anything else.
PeerEndpoint EndpointOf(absl::string_view grpc_peer);

// The addresses that one machine can choose from at will: an IPv4 address
// alone, of an IPv6 address its /64 network ("2001:db8::/64"). What is neither
// stays as it is.
std::string PeerGroup(const std::string& host);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_PEER_ADDRESS_H_
