#include "server/access/access_control.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/access/access_rules.h"

namespace ddgan {
namespace {

constexpr absl::string_view kScheme = "Bearer ";

AccessDecision Deny(AccessDenial denial, absl::string_view why) {
  const bool unauthenticated = denial == AccessDenial::kNoToken ||
                               denial == AccessDenial::kBadToken ||
                               denial == AccessDenial::kExpired;
  return {denial,
          unauthenticated ? absl::UnauthenticatedError(why)
                          : absl::PermissionDeniedError(why),
          nullptr};
}

// Null unless there is one value, of the form "Bearer <token>", and somebody
// has that token.
const Token* FindToken(const TokenTable& tokens,
                       absl::Span<const absl::string_view> authorization) {
  // Schemes know no case (RFC 9110).
  if (authorization.size() != 1 ||
      !absl::StartsWithIgnoreCase(authorization[0], kScheme)) {
    return nullptr;
  }
  return tokens.Find(authorization[0].substr(kScheme.size()));
}

}  // namespace

const char* NameOf(AccessDenial denial) {
  switch (denial) {
    case AccessDenial::kNoToken:
      return "no_token";
    case AccessDenial::kBadToken:
      return "bad_token";
    case AccessDenial::kExpired:
      return "expired";
    case AccessDenial::kScope:
      return "scope";
    case AccessDenial::kNoRule:
      return "no_rule";
  }
  return "unknown";
}

AccessDecision DecideAccess(const TokenTable& tokens, absl::string_view path,
                            absl::Span<const absl::string_view> authorization,
                            absl::Time now) {
  const AccessRule* const rule = RuleFor(path);
  // Tools ask for what is new first, such as a service's next version, and fall
  // back if there is none: they are told so, with or without a token.
  if (rule == nullptr) {
    return {AccessDenial::kNoRule,
            absl::UnimplementedError("there is no such call here"), nullptr};
  }
  if (!rule->scope.has_value()) return {};
  if (authorization.empty()) {
    return Deny(AccessDenial::kNoToken,
                "no token: wanted the metadata authorization: Bearer <token>");
  }
  if (authorization.size() > 1) {
    return Deny(AccessDenial::kBadToken, "more than one authorization");
  }
  if (!absl::StartsWithIgnoreCase(authorization[0], kScheme)) {
    return Deny(AccessDenial::kBadToken,
                "the authorization is not of the form Bearer <token>");
  }
  const Token* const token = FindToken(tokens, authorization);
  if (token == nullptr) {
    return Deny(AccessDenial::kBadToken, "the token is not known here");
  }
  if (token->expires <= now) {
    return Deny(
        AccessDenial::kExpired,
        absl::StrCat("the token of ", token->tenant->name, " has expired"));
  }
  if (!token->Has(*rule->scope)) {
    return Deny(AccessDenial::kScope,
                absl::StrCat(rule->path.substr(1), " needs the scope ",
                             NameOf(*rule->scope), ", which this token of ",
                             token->tenant->name, " lacks"));
  }
  return {std::nullopt, absl::OkStatus(), token->tenant};
}

std::shared_ptr<const Tenant> TenantOf(
    const TokenTable& tokens,
    absl::Span<const absl::string_view> authorization) {
  const Token* const token = FindToken(tokens, authorization);
  return token == nullptr ? nullptr : token->tenant;
}

void AccessControl::SetTokens(std::shared_ptr<const TokenTable> tokens) {
  absl::MutexLock lock(&mu_);
  tokens_.swap(tokens);
}

AccessDecision AccessControl::Decide(
    absl::string_view path, absl::Span<const absl::string_view> authorization) {
  return DecideAccess(*tokens(), path, authorization, clock_->Now());
}

std::shared_ptr<const Tenant> AccessControl::TenantOf(
    absl::Span<const absl::string_view> authorization) {
  return ddgan::TenantOf(*tokens(), authorization);
}

std::shared_ptr<const TokenTable> AccessControl::tokens() {
  absl::MutexLock lock(&mu_);
  return tokens_;
}

}  // namespace ddgan
