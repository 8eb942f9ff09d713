// Whether a call may be made: path and metadata in, decision out.
#ifndef DDGAN_SERVER_ACCESS_ACCESS_CONTROL_H_
#define DDGAN_SERVER_ACCESS_ACCESS_CONTROL_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/base/clock.h"
#include "server/access/tenant_quotas.h"
#include "server/access/token_table.h"

namespace ddgan {

// Metadata that carries the token: "Bearer <token>".
inline constexpr char kAuthorizationKey[] = "authorization";

// Why a call was turned away; label `reason` of ddgan_access_denied_total.
enum class AccessDenial {
  kNoToken,
  kBadToken,  // malformed, more than one, or nobody's
  kExpired,
  kScope,   // the token lacks it
  kNoRule,  // nobody may make this call
};
inline constexpr int kNumAccessDenials = 5;

// As in the metric: "no_token".
const char* NameOf(AccessDenial denial);

struct AccessDecision {
  // Unset: admitted.
  std::optional<AccessDenial> denial;
  // What the caller is told: Unauthenticated for the first three,
  // Unimplemented for kNoRule, else PermissionDenied. No part of the metadata
  // is in it.
  absl::Status status;
  // Of an admitted call that needs a token.
  std::shared_ptr<const Tenant> tenant;
};

// `authorization` holds the values of kAuthorizationKey. Pure.
AccessDecision DecideAccess(const TokenTable& tokens, absl::string_view path,
                            absl::Span<const absl::string_view> authorization,
                            absl::Time now);

// Whose token the `authorization` of a call carries that was admitted, whatever
// its scopes. Null if nobody has that token any more. Pure.
std::shared_ptr<const Tenant> TenantOf(
    const TokenTable& tokens,
    absl::Span<const absl::string_view> authorization);

// Thread-safe. A call is decided on once, by the listener, before its request
// is read (listener_credentials.h). What gRPC hands on from there belongs to
// the connection, which may carry calls with other tokens; so a service finds
// the tenant by the token (TenantOf), and decides nothing anew.
class AccessControl {
 public:
  // `tokens` is not null; `clock` must outlive the object.
  AccessControl(std::shared_ptr<const TokenTable> tokens, Clock* clock)
      : clock_(clock), tokens_(std::move(tokens)) {}

  // For calls that come from now on.
  void SetTokens(std::shared_ptr<const TokenTable> tokens)
      ABSL_LOCKS_EXCLUDED(mu_);

  AccessDecision Decide(absl::string_view path,
                        absl::Span<const absl::string_view> authorization)
      ABSL_LOCKS_EXCLUDED(mu_);

  // As TenantOf above.
  std::shared_ptr<const Tenant> TenantOf(
      absl::Span<const absl::string_view> authorization)
      ABSL_LOCKS_EXCLUDED(mu_);

  TenantQuotas& quotas() { return quotas_; }

 private:
  std::shared_ptr<const TokenTable> tokens() ABSL_LOCKS_EXCLUDED(mu_);

  Clock* const clock_;
  TenantQuotas quotas_;
  absl::Mutex mu_;
  std::shared_ptr<const TokenTable> tokens_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_ACCESS_CONTROL_H_
