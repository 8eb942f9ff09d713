#include "server/access/listener_security.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/telemetry/access_log.h"
#include "server/telemetry/prometheus_observer.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/test_certificates.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kGenerate[] = "/ddgan.v1.ImageGeneration/Generate";

SecurityOptions Tls() {
  SecurityOptions options;
  options.tls_cert = "cert.pem";
  options.tls_key = "key.pem";
  return options;
}

SecurityOptions Tokens() {
  SecurityOptions options;
  options.token_file = "tokens.json";
  return options;
}

void ExpectRefused(const absl::Status& status, const char* words) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(CheckSecurityTest, NothingIsAskedForByDefault) {
  EXPECT_TRUE(CheckSecurity({}, {{"0.0.0.0", 1}}).ok());
}

TEST(CheckSecurityTest, FlagsGoTogether) {
  SecurityOptions no_key = Tls();
  no_key.tls_key.clear();
  ExpectRefused(CheckSecurity(no_key, {}), "--tls_cert and --tls_key");
  SecurityOptions no_cert = Tls();
  no_cert.tls_cert.clear();
  ExpectRefused(CheckSecurity(no_cert, {}), "--tls_cert and --tls_key");
  SecurityOptions authority_alone;
  authority_alone.tls_client_ca = "ca.pem";
  ExpectRefused(CheckSecurity(authority_alone, {}), "--tls_client_ca needs");
  SecurityOptions no_tokens;
  no_tokens.tokens_without_tls = true;
  ExpectRefused(CheckSecurity(no_tokens, {}), "--tokens_without_tls needs");
}

TEST(CheckSecurityTest, TokensStayOnTheLoopbackWithoutTls) {
  const ListenAddress loopback = {"127.0.0.1", 1};
  const ListenAddress network = {"0.0.0.0", 2};
  EXPECT_TRUE(CheckSecurity(Tokens(), {loopback}).ok());
  const absl::Status refused = CheckSecurity(Tokens(), {loopback, network});
  ExpectRefused(refused, "0.0.0.0:2");
  EXPECT_THAT(
      std::string(refused.message()),
      AllOf(HasSubstr("--tls_cert"), HasSubstr("--tokens_without_tls")));

  SecurityOptions behind_proxy = Tokens();
  behind_proxy.tokens_without_tls = true;
  EXPECT_TRUE(CheckSecurity(behind_proxy, {network}).ok());
  SecurityOptions with_tls = Tls();
  with_tls.token_file = "tokens.json";
  EXPECT_TRUE(CheckSecurity(with_tls, {network}).ok());
}

class ListenerSecurityTest : public ::testing::Test {
 protected:
  std::string Write(const char* name, const std::string& text) {
    const auto path = folder_.path() / name;
    // Whole or not at all, as an operator should.
    WriteBytes(folder_.path() / "next", text);
    std::filesystem::rename(folder_.path() / "next", path);
    return path.string();
  }
  absl::StatusOr<std::unique_ptr<ListenerSecurity>> Start() {
    return ListenerSecurity::Start(options_, &metrics_, &access_log_,
                                   RealClock(), absl::Milliseconds(5));
  }
  // The metrics' text, once it contains `wanted`.
  std::string MetricsWith(const std::string& wanted) {
    std::string text;
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    do {
      text = metrics_.Text();
    } while (text.find(wanted) == std::string::npos && absl::Now() < give_up);
    return text;
  }

  const TemporaryFolder folder_;
  PrometheusObserver metrics_{RealClock()};
  AccessLog access_log_{AccessLogLevel::kNone, LogFormat::kText, nullptr};
  SecurityOptions options_;
};

TEST_F(ListenerSecurityTest, NamesTheFlagOfAFileThatCannotBeUsed) {
  const TestCertificate authority = TestCertificate::Authority("authority");
  options_.tls_cert = Write("cert.pem", authority.Sign().certificate());
  options_.tls_key = Write("key.pem", authority.Sign().key());
  ExpectRefused(Start().status(), "key: is not the certificate's");
  EXPECT_THAT(std::string(Start().status().message()),
              HasSubstr(absl::StrCat("--tls_key=", options_.tls_key)));

  options_ = {};
  options_.token_file = Write("tokens.json", "{}");
  ExpectRefused(Start().status(),
                absl::StrCat("--token_file=", options_.token_file).c_str());

  options_.token_file = (folder_.path() / "missing").string();
  EXPECT_TRUE(absl::IsNotFound(Start().status())) << Start().status();
}

TEST_F(ListenerSecurityTest, AnEmptyFileOfAuthoritiesDoesNotLetEverybodyIn) {
  const TestCertificate authority = TestCertificate::Authority("authority");
  const TestCertificate server = authority.Sign();
  options_.tls_cert = Write("cert.pem", server.certificate());
  options_.tls_key = Write("key.pem", server.key());
  options_.tls_client_ca = Write("ca.pem", "");
  ExpectRefused(Start().status(), "client authorities: an empty file");
}

TEST_F(ListenerSecurityTest, CountsReloadsAndTellsWhenTheCertificateExpires) {
  const TestCertificate authority = TestCertificate::Authority("authority");
  TestCertificate::Options until;
  until.ends = absl::FromUnixSeconds(4'000'000'000);
  const TestCertificate first = authority.Sign(until);
  options_.tls_cert = Write("cert.pem", first.certificate());
  options_.tls_key = Write("key.pem", first.key());
  const auto security = Start();
  ASSERT_TRUE(security.ok()) << security.status();
  EXPECT_TRUE((*security)->tls());
  EXPECT_EQ((*security)->access(), nullptr);
  EXPECT_THAT(
      metrics_.Text(),
      AllOf(HasSubstr(
                "ddgan_tls_certificate_expiry_timestamp_seconds 4000000000"),
            HasSubstr("ddgan_tls_reloads_total{result=\"taken\"} 0"),
            HasSubstr("ddgan_tls_reloads_total{result=\"refused\"} 0")));

  until.ends = absl::FromUnixSeconds(4'100'000'000);
  const TestCertificate second = authority.Sign(until);
  Write("cert.pem", second.certificate());
  const std::string refused =
      MetricsWith("ddgan_tls_reloads_total{result=\"refused\"} 1");
  EXPECT_THAT(refused,
              AllOf(HasSubstr("ddgan_tls_reloads_total{result=\"refused\"} 1"),
                    HasSubstr("expiry_timestamp_seconds 4000000000")));
  Write("key.pem", second.key());
  EXPECT_THAT(MetricsWith("ddgan_tls_reloads_total{result=\"taken\"} 1"),
              HasSubstr("expiry_timestamp_seconds 4100000000"));
}

TEST_F(ListenerSecurityTest, TellsForHowLongTheFilesAreRefused) {
  const TestCertificate authority = TestCertificate::Authority("authority");
  const TestCertificate first = authority.Sign();
  options_.tls_cert = Write("cert.pem", first.certificate());
  options_.tls_key = Write("key.pem", first.key());
  options_.token_file = Write("tokens.json", R"({"tenants": []})");
  const auto security = Start();
  ASSERT_TRUE(security.ok()) << security.status();
  constexpr char kTls[] = "ddgan_security_files_refused{files=\"tls\"} ";
  constexpr char kTokens[] = "ddgan_security_files_refused{files=\"tokens\"} ";
  const auto both = [&](int tls, int tokens) {
    return AllOf(HasSubstr(absl::StrCat(kTls, tls)),
                 HasSubstr(absl::StrCat(kTokens, tokens)));
  };
  EXPECT_THAT(metrics_.Text(), both(0, 0));

  Write("key.pem", authority.Sign().key());
  EXPECT_THAT(MetricsWith(absl::StrCat(kTls, 1)), both(1, 0));
  Write("tokens.json", "{");
  EXPECT_THAT(MetricsWith(absl::StrCat(kTokens, 1)), both(1, 1));
  // Ends with files that are taken, and with those that are in force anyway.
  Write("tokens.json", R"({"tenants": [ ]})");
  EXPECT_THAT(MetricsWith(absl::StrCat(kTokens, 0)), both(1, 0));
  Write("key.pem", first.key());
  EXPECT_THAT(MetricsWith(absl::StrCat(kTls, 0)), both(0, 0));
}

TEST_F(ListenerSecurityTest, ABadTokenFileKeepsTheTokensThatThereWere) {
  constexpr char kSha256OfA[] =
      "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
  options_.token_file = Write(
      "tokens.json",
      absl::StrCat(R"({"tenants": [{"name": "t", "tokens": [{"sha256": ")",
                   kSha256OfA, R"(", "scopes": ["generate"]}]}]})"));
  const auto security = Start();
  ASSERT_TRUE(security.ok()) << security.status();
  EXPECT_FALSE((*security)->tls());
  AccessControl* const access = (*security)->access();
  ASSERT_NE(access, nullptr);
  EXPECT_TRUE(access->Decide(kGenerate, {"Bearer a"}).status.ok());

  Write("tokens.json", "{");
  MetricsWith("ddgan_token_reloads_total{result=\"refused\"} 1");
  EXPECT_TRUE(access->Decide(kGenerate, {"Bearer a"}).status.ok());

  Write("tokens.json", R"({"tenants": []})");
  MetricsWith("ddgan_token_reloads_total{result=\"taken\"} 1");
  EXPECT_FALSE(access->Decide(kGenerate, {"Bearer a"}).status.ok());
}

}  // namespace
}  // namespace ddgan
