#include "client/playground/page_access.h"

#include <openssl/crypto.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/entropy.h"
#include "engine/base/sha256.h"

namespace ddgan::playground {
namespace {

absl::Status Refused(absl::string_view why) {
  return absl::PermissionDeniedError(why);
}

// " 'sha256-...'" for each element <TAG>...</TAG>.
std::string HashesOf(absl::string_view html, absl::string_view tag) {
  const std::string open = absl::StrCat("<", tag, ">");
  const std::string close = absl::StrCat("</", tag, ">");
  std::string hashes;
  for (size_t at = html.find(open); at != absl::string_view::npos;
       at = html.find(open, at)) {
    at += open.size();
    const absl::string_view text = html.substr(at, html.find(close, at) - at);
    const std::string digest = absl::HexStringToBytes(
        Sha256Hex(std::string_view(text.data(), text.size())));
    absl::StrAppend(&hashes, " 'sha256-", absl::Base64Escape(digest), "'");
  }
  return hashes;
}

}  // namespace

std::string DrawToken() {
  std::string token;
  for (int word = 0; word < 4; ++word) {
    absl::StrAppend(&token, absl::Hex(DrawEntropy(), absl::kZeroPad16));
  }
  return token;
}

bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::StatusOr<std::string> CheckAccess(const RequestHead& head,
                                        absl::string_view token, int port) {
  // Browsers leave out what is HTTP's own port.
  const std::string suffix = port == 80 ? "" : absl::StrCat(":", port);
  if (head.host != absl::StrCat("127.0.0.1", suffix) &&
      head.host != absl::StrCat("localhost", suffix)) {
    return Refused("This page is for this machine alone.");
  }
  if (head.origin.has_value()
          ? *head.origin != absl::StrCat("http://", *head.host)
          : head.is_post) {
    return Refused("This page answers no other page.");
  }
  if (head.fetch_site.has_value() && *head.fetch_site != "same-origin" &&
      *head.fetch_site != "none") {
    return Refused("This page answers no other page.");
  }
  const absl::string_view target = head.target;
  const absl::string_view path = target.substr(0, target.find('?'));
  const size_t end = path.find('/', 1);
  if (!absl::StartsWith(path, "/") || end == absl::string_view::npos ||
      !EqualInConstantTime(path.substr(1, end - 1), token)) {
    return Refused(
        "The address of the playground has a token in it: open the one that "
        "`ddgan playground` printed when it was started.");
  }
  if (head.is_post && head.content_type != "application/json") {
    return absl::InvalidArgumentError("Content-Type must be application/json");
  }
  return std::string(path.substr(end));
}

std::string ContentSecurityPolicy(absl::string_view html) {
  return absl::StrCat("default-src 'none'; script-src",
                      HashesOf(html, "script"), "; style-src",
                      HashesOf(html, "style"),
                      "; img-src data:; connect-src 'self'; base-uri 'none'; "
                      "form-action 'none'; frame-ancestors 'none'");
}

}  // namespace ddgan::playground
