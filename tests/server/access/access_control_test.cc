#include "server/access/access_control.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/access_rules.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kGenerate[] = "/ddgan.v1.ImageGeneration/Generate";
constexpr char kPin[] = "/ddgan.v1.ModelService/PinVersion";
constexpr char kHealth[] = "/grpc.health.v1.Health/Check";
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// One token of each scope, named as it, and one that expires a second from
// kNow.
std::shared_ptr<const TokenTable> Tokens() {
  std::string text = R"({"tenants": [{"name": "studio", "tokens": [)";
  for (const char* scope : {"generate", "read", "admin"}) {
    absl::StrAppend(&text, R"({"sha256": ")", Sha256Hex(scope),
                    R"(", "scopes": [")", scope, R"("]},)");
  }
  absl::StrAppend(&text, R"({"sha256": ")", Sha256Hex("brief"),
                  R"(", "scopes": ["generate"], "expires": ")",
                  absl::FormatTime(absl::RFC3339_sec, kNow + absl::Seconds(1),
                                   absl::UTCTimeZone()),
                  R"("}]}]})");
  absl::StatusOr<TokenTable> table = TokenTable::Parse(text);
  EXPECT_TRUE(table.ok()) << table.status();
  return std::make_shared<const TokenTable>(*std::move(table));
}

AccessDecision Decide(absl::string_view path,
                      const std::vector<absl::string_view>& authorization,
                      absl::Time now = kNow) {
  return DecideAccess(*Tokens(), path, authorization, now);
}

TEST(DecideAccessTest, EveryRuleTimesEveryToken) {
  for (const AccessRule& rule : AccessRules()) {
    EXPECT_EQ(Decide(rule.path, {}).status.code(),
              rule.scope.has_value() ? absl::StatusCode::kUnauthenticated
                                     : absl::StatusCode::kOk);
    for (const char* scope : {"generate", "read", "admin"}) {
      const AccessDecision decision =
          Decide(rule.path, {absl::StrCat("Bearer ", scope)});
      const bool good =
          !rule.scope.has_value() || NameOf(*rule.scope) == std::string(scope);
      EXPECT_EQ(
          decision.status.code(),
          good ? absl::StatusCode::kOk : absl::StatusCode::kPermissionDenied)
          << rule.path << " " << scope;
    }
  }
}

TEST(DecideAccessTest, NamesTheTenantOfAnAdmittedCall) {
  const AccessDecision decision = Decide(kGenerate, {"Bearer generate"});
  EXPECT_TRUE(decision.status.ok());
  ASSERT_NE(decision.tenant, nullptr);
  EXPECT_EQ(decision.tenant->name, "studio");
}

TEST(TenantOfTest, IsWhoseTokenItIsAndNothingElse) {
  const auto tenant_of =
      [](const std::vector<absl::string_view>& authorization) {
        return TenantOf(*Tokens(), authorization);
      };
  for (const char* token :
       {"Bearer generate", "bearer read", "Bearer admin", "Bearer brief"}) {
    ASSERT_NE(tenant_of({token}), nullptr) << token;
    EXPECT_EQ(tenant_of({token})->name, "studio");
  }
  EXPECT_EQ(tenant_of({}), nullptr);
  EXPECT_EQ(tenant_of({"Bearer nobody's"}), nullptr);
  EXPECT_EQ(tenant_of({"Basic generate"}), nullptr);
  EXPECT_EQ(tenant_of({"Bearer generate", "Bearer generate"}), nullptr);
}

TEST(DecideAccessTest, SchemesKnowNoCaseButTokensDo) {
  EXPECT_TRUE(Decide(kGenerate, {"bearer generate"}).status.ok());
  EXPECT_TRUE(Decide(kGenerate, {"BEARER generate"}).status.ok());
  EXPECT_EQ(Decide(kGenerate, {"Bearer GENERATE"}).denial,
            AccessDenial::kBadToken);
}

TEST(DecideAccessTest, MalformedAuthorizationIsNoToken) {
  for (const char* value :
       {"", "generate", "Bearer", "Bearer ", "Bearergenerate", "Basic generate",
        "Bearer  generate", "Bearer generate ", " Bearer generate"}) {
    const AccessDecision decision = Decide(kGenerate, {value});
    EXPECT_EQ(decision.denial, AccessDenial::kBadToken) << value;
    EXPECT_TRUE(absl::IsUnauthenticated(decision.status)) << value;
  }
  // Which of the two would count?
  EXPECT_EQ(Decide(kGenerate, {"Bearer generate", "Bearer generate"}).denial,
            AccessDenial::kBadToken);
}

TEST(DecideAccessTest, ATokenEndsAtItsTime) {
  const std::vector<absl::string_view> brief = {"Bearer brief"};
  EXPECT_TRUE(Decide(kGenerate, brief).status.ok());
  const AccessDecision late = Decide(kGenerate, brief, kNow + absl::Seconds(1));
  EXPECT_EQ(late.denial, AccessDenial::kExpired);
  EXPECT_TRUE(absl::IsUnauthenticated(late.status));
}

// So that tools which ask for the newest first fall back.
TEST(DecideAccessTest, ACallWithoutARuleDoesNotExistWithOrWithoutAToken) {
  for (const std::vector<absl::string_view>& authorization :
       {std::vector<absl::string_view>{},
        {"Bearer admin"},
        {"Bearer nobody"}}) {
    for (const char* path : {"/a.B/C", "/grpc.health.v1.Health/List"}) {
      const AccessDecision decision = Decide(path, authorization);
      EXPECT_EQ(decision.denial, AccessDenial::kNoRule) << path;
      EXPECT_TRUE(absl::IsUnimplemented(decision.status)) << decision.status;
    }
  }
}

TEST(DecideAccessTest, HealthNeedsNoTokenAndMindsNoBadOne) {
  EXPECT_TRUE(Decide(kHealth, {}).status.ok());
  EXPECT_TRUE(Decide(kHealth, {"Bearer nobody"}).status.ok());
  EXPECT_EQ(Decide(kHealth, {}).tenant, nullptr);
}

TEST(DecideAccessTest, NoMessageShowsWhatTheCallerSent) {
  for (const char* value : {"Bearer s3cret", "s3cret", "Basic s3cret"}) {
    EXPECT_THAT(std::string(Decide("/s3cret", {value}).status.message()),
                Not(HasSubstr("s3cret")));
  }
  const AccessDecision scope = Decide(kPin, {"Bearer generate"});
  EXPECT_THAT(std::string(scope.status.message()),
              HasSubstr("PinVersion needs the scope admin"));
}

TEST(AccessControlTest, TakesNewTokensAndForgetsOldOnes) {
  ManualClock clock;
  AccessControl access(Tokens(), &clock);
  const std::vector<absl::string_view> token = {"Bearer generate"};
  EXPECT_TRUE(access.Decide(kGenerate, token).status.ok());
  access.SetTokens(std::make_shared<const TokenTable>());
  EXPECT_EQ(access.Decide(kGenerate, token).denial, AccessDenial::kBadToken);
}

TEST(AccessControlTest, EveryDenialHasANameOfItsOwn) {
  std::vector<std::string> names;
  for (int i = 0; i < kNumAccessDenials; ++i) {
    names.push_back(NameOf(static_cast<AccessDenial>(i)));
  }
  EXPECT_THAT(names, ::testing::ElementsAre("no_token", "bad_token", "expired",
                                            "scope", "no_rule"));
}

}  // namespace
}  // namespace ddgan
