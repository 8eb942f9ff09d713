#include "server/connections/peer_address.h"

#include <arpa/inet.h>

#include <cstring>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

sockaddr_storage V6(const char* host, int port) {
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<in_port_t>(port));
  EXPECT_EQ(inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
  sockaddr_storage address = {};
  std::memcpy(&address, &v6, sizeof(v6));
  return address;
}

TEST(PeerAddressTest, ASocketsAddressAndGrpcsPeerAreEqual) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(51312);
  inet_pton(AF_INET, "10.0.0.7", &v4.sin_addr);
  sockaddr_storage address = {};
  std::memcpy(&address, &v4, sizeof(v4));
  EXPECT_EQ(EndpointOf(address), EndpointOf("ipv4:10.0.0.7:51312"));
  EXPECT_EQ(EndpointOf(address), (PeerEndpoint{"10.0.0.7", 51312}));

  EXPECT_EQ(EndpointOf(V6("2001:db8::7", 9)),
            EndpointOf("ipv6:%5B2001:db8::7%5D:9"));
  EXPECT_EQ(EndpointOf(V6("::1", 9)), EndpointOf("ipv6:[::1]:9"));
  EXPECT_EQ(EndpointOf(V6("fe80::1", 9)),
            EndpointOf("ipv6:%5Bfe80::1%25eth0%5D:9"));
}

TEST(PeerAddressTest, AnIpv4AddressIsOneOnAnIpv6SocketToo) {
  EXPECT_EQ(EndpointOf(V6("::ffff:10.0.0.7", 9)),
            EndpointOf("ipv4:10.0.0.7:9"));
  EXPECT_EQ(PeerGroup("::ffff:10.0.0.7"), "10.0.0.7");
}

TEST(PeerAddressTest, NothingElseHasAnEndpoint) {
  for (const char* peer :
       {"", "unix:/a/b", "ipv4:10.0.0.7", "ipv4:1.2.3.4:x"}) {
    EXPECT_EQ(EndpointOf(peer), PeerEndpoint()) << peer;
  }
}

TEST(PeerAddressTest, AnIpv6NetworkIsOnePeer) {
  EXPECT_EQ(PeerGroup("2001:db8:0:1:ffff::9"), "2001:db8:0:1::/64");
  EXPECT_EQ(PeerGroup("2001:db8:0:1::1"), PeerGroup("2001:db8:0:1:2:3:4:5"));
  EXPECT_NE(PeerGroup("2001:db8:0:1::1"), PeerGroup("2001:db8:0:2::1"));
  EXPECT_EQ(PeerGroup("10.0.0.7"), "10.0.0.7");
  EXPECT_EQ(PeerGroup(""), "");
}

}  // namespace
}  // namespace ddgan
