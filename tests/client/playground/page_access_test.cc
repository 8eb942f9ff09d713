#include "client/playground/page_access.h"

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan::playground {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "0123456789abcdef";
constexpr int kPort = 8080;

// As a browser sends it from the page itself.
RequestHead Post(const std::string& path) {
  return {.is_post = true,
          .target = absl::StrCat("/", kToken, path),
          .host = "127.0.0.1:8080",
          .origin = "http://127.0.0.1:8080",
          .fetch_site = "same-origin",
          .content_type = "application/json"};
}

// As a browser sends it for an address that was typed.
RequestHead Get(const std::string& target) {
  return {.is_post = false,
          .target = target,
          .host = "127.0.0.1:8080",
          .origin = {},
          .fetch_site = "none",
          .content_type = {}};
}

absl::StatusOr<std::string> Check(const RequestHead& head) {
  return CheckAccess(head, kToken, kPort);
}

TEST(PageAccessTest, GivesThePathBehindTheToken) {
  EXPECT_EQ(*Check(Post("/images")), "/images");
  EXPECT_EQ(*Check(Get("/0123456789abcdef/")), "/");
  EXPECT_EQ(*Check(Get("/0123456789abcdef/?x=/images")), "/");
  RequestHead curl = Get("/0123456789abcdef/server");
  curl.fetch_site.reset();
  EXPECT_EQ(*Check(curl), "/server");
}

TEST(PageAccessTest, TakesLocalhostForThisMachine) {
  RequestHead head = Post("/images");
  head.host = "localhost:8080";
  head.origin = "http://localhost:8080";
  EXPECT_TRUE(Check(head).ok());
}

TEST(PageAccessTest, KnowsThatBrowsersLeaveOutHttpsOwnPort) {
  RequestHead head = Post("/images");
  head.host = "127.0.0.1";
  head.origin = "http://127.0.0.1";
  EXPECT_TRUE(CheckAccess(head, kToken, 80).ok());
  EXPECT_FALSE(CheckAccess(head, kToken, 8080).ok());
  EXPECT_FALSE(CheckAccess(Post("/images"), kToken, 80).ok());
}

TEST(PageAccessTest, RefusesEveryOtherHost) {
  for (const char* host :
       {"127.0.0.1", "127.0.0.1:80", "127.0.0.1:80801", "evil.example:8080",
        "localhost.evil.example:8080", "127.0.0.1:8080.evil.example",
        "[::1]:8080", "127.0.0.1:8080,evil.example", "LOCALHOST:8080", ""}) {
    RequestHead head = Get("/0123456789abcdef/");
    head.host = host;
    EXPECT_TRUE(absl::IsPermissionDenied(Check(head).status())) << host;
  }
  RequestHead without = Get("/0123456789abcdef/");
  without.host.reset();
  EXPECT_TRUE(absl::IsPermissionDenied(Check(without).status()));
}

TEST(PageAccessTest, RefusesEveryOtherOrigin) {
  for (const char* origin :
       {"http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1",
        "http://localhost:8080", "null", "", "http://127.0.0.1:8081"}) {
    RequestHead head = Post("/images");
    head.origin = origin;
    EXPECT_TRUE(absl::IsPermissionDenied(Check(head).status())) << origin;
    RequestHead get = Get("/0123456789abcdef/server");
    get.origin = origin;
    EXPECT_TRUE(absl::IsPermissionDenied(Check(get).status())) << origin;
  }
}

TEST(PageAccessTest, RefusesAPostOfNobody) {
  RequestHead head = Post("/images");
  head.origin.reset();
  EXPECT_TRUE(absl::IsPermissionDenied(Check(head).status()));
}

TEST(PageAccessTest, RefusesWhatABrowserSaysIsAnotherPages) {
  for (const char* site : {"cross-site", "same-site", "", "same-origin,none"}) {
    RequestHead head = Get("/0123456789abcdef/");
    head.fetch_site = site;
    EXPECT_TRUE(absl::IsPermissionDenied(Check(head).status())) << site;
  }
}

TEST(PageAccessTest, RefusesEveryOtherToken) {
  for (const char* target :
       {"/", "//", "", "/images", "/0123456789abcdef", "/0123456789abcde/",
        "/0123456789abcdef0/", "/0123456789abcdeF/", "0123456789abcdef/",
        "/?/0123456789abcdef/", "//0123456789abcdef/"}) {
    const absl::Status status = Check(Get(target)).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << target;
    EXPECT_THAT(std::string(status.message()),
                Not(HasSubstr("0123456789abcdef")));
  }
}

TEST(PageAccessTest, TakesNothingButJson) {
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded",
                           "application/json,text/plain", ""}) {
    RequestHead head = Post("/images");
    head.content_type = type;
    EXPECT_TRUE(absl::IsInvalidArgument(Check(head).status())) << type;
  }
  RequestHead without = Post("/images");
  without.content_type.reset();
  EXPECT_TRUE(absl::IsInvalidArgument(Check(without).status()));
}

TEST(PageAccessTest, ComparesWholeTexts) {
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_TRUE(EqualInConstantTime("", ""));
  EXPECT_FALSE(EqualInConstantTime("abc", "abd"));
  EXPECT_FALSE(EqualInConstantTime("abc", "ab"));
  EXPECT_FALSE(EqualInConstantTime("", "a"));
}

TEST(PageAccessTest, TokensHave256BitsAndDiffer) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    const std::string token = DrawToken();
    EXPECT_EQ(token.size(), 64u);
    EXPECT_EQ(token.find_first_not_of("0123456789abcdef"), std::string::npos);
    tokens.insert(token);
  }
  EXPECT_EQ(tokens.size(), 100u);
}

TEST(PageAccessTest, ThePolicyAllowsThePagesOwnScriptAndStyleAlone) {
  // openssl dgst -sha256 -binary | base64, of "let a;" and of "b{}".
  EXPECT_EQ(ContentSecurityPolicy("<style>b{}</style><script>let a;</script>"),
            "default-src 'none'; "
            "script-src 'sha256-81WALLbUROF1pWdYjuQYKuIcGgY/+TqVJr8UsV6Tkvo='; "
            "style-src 'sha256-7yqHVAesot11p6HczDsgKRipvI5UPgs97z80zNXlans='; "
            "img-src data:; connect-src 'self'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'");
}

}  // namespace
}  // namespace ddgan::playground
