// Who may use the playground's pages: the browser tab that was opened by the
// address with the token in it, and nobody else on this machine or beyond. Pure
// but for DrawToken.
#ifndef DDGAN_CLIENT_PLAYGROUND_PAGE_ACCESS_H_
#define DDGAN_CLIENT_PLAYGROUND_PAGE_ACCESS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ddgan::playground {

// What is looked at of a request. A header that is missing is unset; one that
// is there twice is given as both values with a comma between them, which no
// rule below accepts.
struct RequestHead {
  bool is_post = false;
  std::string target;  // "/TOKEN/images".
  std::optional<std::string> host;
  std::optional<std::string> origin;
  std::optional<std::string> fetch_site;    // Sec-Fetch-Site.
  std::optional<std::string> content_type;  // Looked at for a POST alone.
};

// 256 bits from the operating system, as 64 hexadecimal digits.
std::string DrawToken();

// Whether the texts are equal, in a time that depends on their lengths alone.
bool EqualInConstantTime(absl::string_view a, absl::string_view b);

// The path behind the token: "/", "/images". PermissionDenied, with a sentence
// for whoever has typed the address, unless
// - Host is 127.0.0.1 or localhost with `port`: another name that leads here
//   is that of a page which wants to be taken for this one (DNS rebinding);
// - Origin, which a browser sends along with every POST and with whatever
//   another page asks for, is http:// and that Host, or missing; a POST that
//   has none is refused;
// - Sec-Fetch-Site, if there, is "same-origin" or "none" (typed or opened by
//   another program);
// - the path begins with `token`.
// InvalidArgument for a POST that is not JSON: what a form of another page can
// send without being asked is not JSON.
absl::StatusOr<std::string> CheckAccess(const RequestHead& head,
                                        absl::string_view token, int port);

// The Content-Security-Policy of `html`: its own <script> and <style> elements,
// known by their SHA-256, connections to where it came from, pictures that it
// makes itself (data:), and nothing else.
std::string ContentSecurityPolicy(absl::string_view html);

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_PAGE_ACCESS_H_
