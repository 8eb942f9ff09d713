#include "server/access/token_table.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// "first", "second" and so on stand for hashes of tokens of that name.
std::string File(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> hashes;
  for (const char* token : {"first", "second", "third"}) {
    hashes.emplace_back(absl::StrCat("#", token), Sha256Hex(token));
  }
  return absl::StrReplaceAll(text, hashes);
}

absl::StatusOr<TokenTable> Parse(const std::string& text) {
  return TokenTable::Parse(File(text));
}

constexpr char kComplete[] = R"({"tenants": [
  {"name": "studio", "weight": 2.5, "images_per_minute": 600,
   "images_in_flight": 128,
   "tokens": [
     {"sha256": "#first", "scopes": ["generate", "read"]},
     {"sha256": "#second", "scopes": ["admin"],
      "expires": "2030-01-31T00:00:00Z"}]},
  {"name": "guest", "tokens": [{"sha256": "#third", "scopes": ["read"]}]}
]})";

TEST(TokenTableTest, FindsWhoseATokenIsAndWhatItIsGoodFor) {
  const absl::StatusOr<TokenTable> table = Parse(kComplete);
  ASSERT_TRUE(table.ok()) << table.status();
  const Token* const first = table->Find("first");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->tenant->name, "studio");
  EXPECT_EQ(first->tenant->weight, 2.5);
  EXPECT_EQ(first->tenant->quota, (QuotaLimits{600, 128}));
  EXPECT_TRUE(first->Has(Scope::kGenerate));
  EXPECT_TRUE(first->Has(Scope::kRead));
  EXPECT_FALSE(first->Has(Scope::kAdmin));
  EXPECT_EQ(first->expires, absl::InfiniteFuture());

  const Token* const second = table->Find("second");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->tenant, first->tenant);
  EXPECT_TRUE(second->Has(Scope::kAdmin));
  EXPECT_FALSE(second->Has(Scope::kGenerate));
  EXPECT_EQ(second->expires,
            absl::FromCivil(absl::CivilDay(2030, 1, 31), absl::UTCTimeZone()));

  const Token* const third = table->Find("third");
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(third->tenant->name, "guest");
  EXPECT_EQ(third->tenant->weight, std::nullopt);
  EXPECT_EQ(third->tenant->quota, QuotaLimits());
}

TEST(TokenTableTest, KnowsNoOtherToken) {
  const absl::StatusOr<TokenTable> table = Parse(kComplete);
  ASSERT_TRUE(table.ok()) << table.status();
  for (const std::string& token :
       {std::string(), std::string("firs"), std::string("first "),
        std::string("FIRST"), Sha256Hex("first"), std::string("first\0", 6),
        std::string(TokenTable::kMaxTokenSize + 1, 'x')}) {
    EXPECT_EQ(table->Find(token), nullptr) << token;
  }
}

TEST(TokenTableTest, ATokenHasAtMostItsLargestSize) {
  const std::string longest(TokenTable::kMaxTokenSize, 'x');
  const std::string longer = longest + "x";
  const absl::StatusOr<TokenTable> table = TokenTable::Parse(absl::StrCat(
      R"({"tenants": [{"name": "studio", "tokens": [)",
      R"({"scopes": ["read"], "sha256": ")", Sha256Hex(longest), R"("},)",
      R"({"scopes": ["read"], "sha256": ")", Sha256Hex(longer), R"("}]}]})"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_NE(table->Find(longest), nullptr);
  EXPECT_EQ(table->Find(longer), nullptr);
}

TEST(TokenTableTest, AFileWithoutTenantsAdmitsNobody) {
  const absl::StatusOr<TokenTable> table = Parse(R"({"tenants": []})");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Find("first"), nullptr);
}

TEST(TokenTableTest, SaysWhereAFileIsWrong) {
  const std::string token = R"({"sha256": "#first", "scopes": ["read"]})";
  const auto tenant = [&](const std::string& fields) {
    return absl::StrCat(R"({"tenants": [{"name": "a", )", fields, "}]}");
  };
  const auto of_token = [&](const std::string& fields) {
    return tenant(absl::StrCat(R"("tokens": [{)", fields, "}]"));
  };
  const std::pair<std::string, const char*> cases[] = {
      {"", "one JSON value"},
      {"[]", "the file: wanted an object of tenants"},
      {"{}", "tenants: wanted a list"},
      {R"({"tenants": [], "version": 1})", "no other key"},
      {R"({"tenants": [7]})", "tenants[0]: wanted an object of name"},
      {R"({"tenants": [{"tokens": []}]})", "tenants[0].name: wanted 1 to 64"},
      {R"({"tenants": [{"name": "a b", "tokens": []}]})", "without blanks"},
      {tenant(R"("colour": 1, "tokens": [])"), "no other key"},
      {tenant(R"("weight": 0, "tokens": [])"),
       "weight: wanted a number in [0.001"},
      {tenant(R"("weight": 1001, "tokens": [])"), "weight"},
      {tenant(R"("weight": "2", "tokens": [])"), "weight"},
      {tenant(R"("images_per_minute": 0, "tokens": [])"),
       "images_per_minute: wanted a whole number in [1, 1000000000]"},
      {tenant(R"("images_in_flight": 1.5, "tokens": [])"), "images_in_flight"},
      {tenant(R"("tokens": {})"), "tenants[0].tokens: wanted a list"},
      {of_token(R"("scopes": ["read"])"), "tokens[0].sha256: wanted"},
      {of_token(R"("sha256": "#first")"), "tokens[0].scopes: wanted"},
      {of_token(R"("sha256": "#first", "scopes": [])"), "at least one"},
      {of_token(R"("sha256": "#first", "scopes": ["root"])"),
       "a list of generate, read, admin"},
      {of_token(R"("sha256": "#first", "scopes": ["read"], "expires": "soon")"),
       "tokens[0].expires: wanted a time"},
      {tenant(absl::StrCat(R"("tokens": [)", token, ",", token, "]")),
       "tokens[1].sha256: wanted a hash that no other token has"},
      {R"({"tenants": [{"name": "a", "tokens": []},
                       {"name": "a", "tokens": []}]})",
       "tenants[1].name: wanted a name that no other tenant has"},
  };
  for (const auto& [text, wanted] : cases) {
    const absl::Status status = Parse(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text << "\n" << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(wanted)) << text;
  }
}

TEST(TokenTableTest, NeverShowsWhatMayBeATokenInTheWrongPlace) {
  for (const std::string& text : {
           std::string(R"({"tenants": [{"name": "a", "tokens":
               [{"sha256": "s3cret", "scopes": ["read"]}]}]})"),
           std::string(R"({"tenants": [{"name": "a", "tokens":
               [{"sha256": "#first", "scopes": ["s3cret"]}]}]})"),
           std::string(R"({"tenants": [{"name": "a", "tokens":
               [{"s3cret": "#first", "scopes": ["read"]}]}]})"),
           std::string(R"({"tenants": [{"name": "a", "s3cret": 1}]})"),
           std::string(R"({"s3cret": 1, "s3cret": 1})"),
           std::string("s3cret"),
           std::string(R"({"tenants": [{"name": "s3cret)"),
       }) {
    const absl::Status status = Parse(text).status();
    EXPECT_FALSE(status.ok()) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("s3cret")));
  }
}

TEST(TokenTableTest, RefusesMoreThanItCanLookUpQuickly) {
  const std::string large(TokenTable::kMaxFileBytes + 1, ' ');
  EXPECT_THAT(std::string(TokenTable::Parse(large).status().message()),
              AllOf(HasSubstr("1048577 bytes"), HasSubstr("1048576")));
  std::string text = R"({"tenants": [{"name": "a", "tokens": [)";
  for (size_t i = 0; i <= TokenTable::kMaxTokens; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", R"({"sha256":")",
                    Sha256Hex(absl::StrCat(i)), R"(","scopes":["read"]})");
  }
  absl::StrAppend(&text, "]}]}");
  // Either bound may be the one that is met first.
  EXPECT_TRUE(absl::IsInvalidArgument(TokenTable::Parse(text).status()));
}

}  // namespace
}  // namespace ddgan
