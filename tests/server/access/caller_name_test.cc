#include "server/access/caller_name.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"

namespace ddgan {
namespace {

TEST(CallerNameTest, KnowsACallerByTheStrongestEvidence) {
  CallerEvidence evidence{.authenticated_name = "spiffe://a/b",
                          .client_id = "batch job 7",
                          .peer = "ipv4:10.0.0.7:51312"};
  EXPECT_EQ(*CallerName(evidence), "spiffe://a/b");
  evidence.authenticated_name.clear();
  EXPECT_EQ(*CallerName(evidence), "batch job 7");
  evidence.client_id.clear();
  EXPECT_EQ(*CallerName(evidence), "10.0.0.7");
}

TEST(CallerNameTest, BooksMemoryOnNoNameThatACallerMayChoose) {
  CallerEvidence evidence{.authenticated_name = "",
                          .client_id = "batch job 7",
                          .peer = "ipv4:10.0.0.7:51312"};
  const std::string account = CallerAccount(evidence);
  evidence.client_id = "batch job 8";
  evidence.peer = "ipv4:10.0.0.7:51313";
  EXPECT_EQ(CallerAccount(evidence), account);
  evidence.peer = "ipv4:10.0.0.8:51313";
  EXPECT_NE(CallerAccount(evidence), account);
  evidence.authenticated_name = "10.0.0.7";
  EXPECT_NE(CallerAccount(evidence), account);
}

TEST(CallerNameTest, RefusesAClientIdThatIsNoName) {
  CallerEvidence evidence{
      .authenticated_name = "", .client_id = std::string(64, '~'), .peer = ""};
  EXPECT_TRUE(CallerName(evidence).ok());
  evidence.client_id += '~';
  EXPECT_EQ(CallerName(evidence).status(),
            absl::InvalidArgumentError("ddgan-client-id: name of 65 bytes, "
                                       "allowed are at most 64"));
  evidence.client_id = "caf\xc3\xa9";
  EXPECT_EQ(CallerName(evidence).status(),
            absl::InvalidArgumentError(
                "ddgan-client-id: byte 0xc3 at position 3, allowed is "
                "printable ASCII, [0x20, 0x7e]"));
  evidence.client_id = "a\nb";
  EXPECT_TRUE(absl::IsInvalidArgument(CallerName(evidence).status()));
}

TEST(CallerNameTest, LeavesThePortOutOfAPeersAddress) {
  EXPECT_EQ(PeerAddress("ipv4:10.0.0.7:51312"), "10.0.0.7");
  EXPECT_EQ(PeerAddress("ipv6:%5B2001:db8::7%5D:51312"), "2001:db8::7");
  EXPECT_EQ(PeerAddress("ipv6:[2001:db8::7]:51312"), "2001:db8::7");
  EXPECT_EQ(PeerAddress("unix:/run/ddgan:0"), "unix:/run/ddgan:0");
  EXPECT_EQ(PeerAddress("unix:"), "unix:");
  EXPECT_EQ(PeerAddress("ipv4:10"), "ipv4:10");
  EXPECT_EQ(PeerAddress(""), "");
}

}  // namespace
}  // namespace ddgan
