#include "server/access/tls_identity.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/test_certificates.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

class TlsIdentityTest : public ::testing::Test {
 protected:
  static absl::StatusOr<TlsIdentity> Check(std::string certificate,
                                           std::string key,
                                           std::string client_ca = "") {
    TlsIdentity identity;
    identity.cert_chain = std::move(certificate);
    identity.key = std::move(key);
    identity.client_ca = std::move(client_ca);
    return CheckTlsIdentity(std::move(identity), absl::Now());
  }
  static void ExpectRefused(const absl::StatusOr<TlsIdentity>& identity,
                            const char* why) {
    ASSERT_TRUE(absl::IsInvalidArgument(identity.status()))
        << identity.status();
    EXPECT_THAT(std::string(identity.status().message()), HasSubstr(why));
  }

  const TestCertificate authority_ = TestCertificate::Authority("authority");
  const TestCertificate server_ = authority_.Sign();
};

TEST_F(TlsIdentityTest, TakesAPairAndSaysWhenItExpires) {
  TestCertificate::Options options;
  options.ends = absl::FromUnixSeconds(4'000'000'000);
  const TestCertificate server = authority_.Sign(options);
  const auto identity = Check(server.certificate(), server.key());
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->expires, options.ends);
}

TEST_F(TlsIdentityTest, TakesAChainAndClientAuthorities) {
  const auto identity =
      Check(server_.certificate() + authority_.certificate(), server_.key(),
            authority_.certificate() +
                TestCertificate::Authority("another").certificate());
  EXPECT_TRUE(identity.ok()) << identity.status();
}

TEST_F(TlsIdentityTest, RefusesAnotherCertificatesKey) {
  ExpectRefused(Check(server_.certificate(), authority_.Sign().key()),
                "key: is not the certificate's");
}

TEST_F(TlsIdentityTest, RefusesAFileThatIsHalfWritten) {
  const std::string certificate = server_.certificate();
  const std::string key = server_.key();
  // The line's end at the end is all that may be missing.
  for (size_t size = 0; size + 2 < certificate.size(); size += 7) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        Check(certificate.substr(0, size), key).status()))
        << size;
  }
  for (size_t size = 0; size + 2 < key.size(); ++size) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        Check(certificate, key.substr(0, size)).status()))
        << size;
  }
  // A chain whose second certificate is cut off.
  const std::string chain = certificate + authority_.certificate();
  ExpectRefused(Check(chain.substr(0, chain.size() - 100), key),
                "certificate: not PEM");
}

TEST_F(TlsIdentityTest, RefusesHalfWrittenClientAuthorities) {
  const std::string text = authority_.certificate();
  ExpectRefused(Check(server_.certificate(), server_.key(),
                      text.substr(0, text.size() / 2)),
                "client authorities");
  ExpectRefused(Check(server_.certificate(), server_.key(), "none yet\n"),
                "client authorities: no certificate");
}

TEST_F(TlsIdentityTest, RefusesWhatIsNotValidNow) {
  TestCertificate::Options expired;
  expired.begins = absl::FromUnixSeconds(1'500'000'000);
  expired.ends = absl::FromUnixSeconds(1'600'000'000);
  const TestCertificate old = authority_.Sign(expired);
  ExpectRefused(Check(old.certificate(), old.key()),
                "certificate: expired at 2020-09-13T12:26:40+00:00");

  TestCertificate::Options future;
  future.begins = absl::FromUnixSeconds(3'900'000'000);
  future.ends = absl::FromUnixSeconds(4'000'000'000);
  const TestCertificate early = authority_.Sign(future);
  ExpectRefused(Check(early.certificate(), early.key()),
                "certificate: is not valid before 2093-");
}

TEST_F(TlsIdentityTest, AsksNobodyForAPassword) {
  ExpectRefused(Check(server_.certificate(), server_.EncryptedKey("secret")),
                "without password");
}

TEST_F(TlsIdentityTest, RefusesAKeyThatIsTooWeak) {
  TestCertificate::Options options;
  options.rsa_bits = 1024;
  const TestCertificate weak = authority_.Sign(options);
  ExpectRefused(Check(weak.certificate(), weak.key()), "too small");
}

TEST_F(TlsIdentityTest, RefusesTextThatGrpcWouldCutOff) {
  const std::string nul(1, '\0');
  ExpectRefused(Check(nul + server_.certificate(), server_.key()),
                "certificate: a NUL");
  ExpectRefused(Check(server_.certificate(), server_.key() + nul),
                "key: a NUL");
}

TEST_F(TlsIdentityTest, RefusesFilesInEachOthersPlace) {
  ExpectRefused(Check(server_.key(), server_.certificate()),
                "certificate: no certificate");
}

TEST_F(TlsIdentityTest, TheCurrentIdentityIsTheOneSetLast) {
  CurrentTlsIdentity current;
  EXPECT_EQ(current.Get(), nullptr);
  TlsIdentity identity;
  identity.key = "first";
  current.Set(identity);
  const auto first = current.Get();
  identity.key = "second";
  current.Set(identity);
  EXPECT_EQ(first->key, "first");
  EXPECT_EQ(current.Get()->key, "second");
}

}  // namespace
}  // namespace ddgan
