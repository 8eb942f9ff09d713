// Addresses: of peers, as gRPC writes them and as the system does, and of
// listeners; and the names that callers give themselves.
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/listen_address.h"
#include "server/access/caller_name.h"
#include "server/connections/peer_address.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

constexpr size_t kNetworkBytes = 8;

// Of any address that the system can give, gRPC's text says the same.
void CheckAddress(InputReader* input) {
  sockaddr_storage address = {};
  const bool is_v6 = input->Between(0, 1) == 1;
  const auto port = static_cast<in_port_t>(input->Bits(2));
  sockaddr_in6 v6 = {};
  if (is_v6) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    const std::string_view bytes = input->Bytes(sizeof(v6.sin6_addr));
    std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&address, &v6, sizeof(v6));
  } else {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = static_cast<in_addr_t>(input->Bits(4));
    std::memcpy(&address, &v4, sizeof(v4));
  }
  const PeerEndpoint endpoint = EndpointOf(address);
  Require(!endpoint.host.empty() && endpoint.port == port,
          "every address is an endpoint");
  const bool has_colon = absl::StrContains(endpoint.host, ":");
  const std::string written =
      has_colon ? absl::StrCat("ipv6:%5B", endpoint.host, "%5D:", port)
                : absl::StrCat("ipv4:", endpoint.host, ":", port);
  Require(EndpointOf(written) == endpoint, "gRPC's text is the same endpoint");
  Require(PeerAddress(written) == endpoint.host, "and the same address");

  const std::string group = PeerGroup(endpoint.host);
  Require(PeerGroup(group) == group, "a group is a group");
  if (!has_colon) {
    Require(group == endpoint.host, "an IPv4 address is a group");
    return;
  }
  // What a machine may choose of its address changes nothing.
  std::fill(v6.sin6_addr.s6_addr + kNetworkBytes,
            std::end(v6.sin6_addr.s6_addr), 0x77);
  std::memcpy(&address, &v6, sizeof(v6));
  Require(PeerGroup(EndpointOf(address).host) == group, "a network is a group");
}

void CheckText(const std::string& text) {
  const PeerEndpoint endpoint = EndpointOf(text);
  Require(endpoint.host.size() < std::max<size_t>(text.size(), 1),
          "a host is part of its text");
  Require(text.empty() || !PeerAddress(text).empty(),
          "every peer has an address");
  Require(absl::StartsWith(CallerAccount({"", "", text}), "address "),
          "a stranger's account is its address");

  const auto name = CallerName({"", text, "ipv4:10.0.0.7:1"});
  if (name.ok()) {
    Require(name->size() <= kMaxNameSize &&
                std::all_of(name->begin(), name->end(),
                            [](char c) { return c >= 0x20 && c <= 0x7e; }),
            "a name is short and printable");
  } else {
    Require(absl::IsInvalidArgument(name.status()) &&
                absl::StartsWith(name.status().message(), kClientIdKey),
            "a refused name is InvalidArgument and says where it stood");
  }

  const auto listen = ParseListenAddress(text);
  if (listen.ok()) {
    Require(listen->port >= 0 && listen->port <= 65535, "a port is a port");
    Require(ToString(*listen) == text, "an address is as it is written");
    IsLoopback(*listen);
  } else {
    Require(absl::IsInvalidArgument(listen.status()),
            "a refused address is InvalidArgument");
  }
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::InputReader input(data, size);
  ddgan::CheckAddress(&input);
  ddgan::CheckText(std::string(ddgan::InputText(data, size)));
  return 0;
}
