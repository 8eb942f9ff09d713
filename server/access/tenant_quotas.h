// What tenants have used of their quotas, and whether there is room for more.
#ifndef DDGAN_SERVER_ACCESS_TENANT_QUOTAS_H_
#define DDGAN_SERVER_ACCESS_TENANT_QUOTAS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/access/token_table.h"

namespace ddgan {

struct QuotaUse {
  // Images that may be asked for at once at `counted_at`; below 0 after a call
  // for more images than a minute has.
  double allowance = 0;
  // InfinitePast: nothing was used yet.
  absl::Time counted_at = absl::InfinitePast();
  int64_t in_flight = 0;
};

enum class QuotaRefusal {
  kRate,      // images_per_minute; comes back by itself
  kInFlight,  // images_in_flight; comes back as calls end
  kTooMany,   // more than may ever be in flight
};

struct QuotaDecision {
  // Unset: admitted.
  std::optional<QuotaRefusal> refusal;
  // Of kRate.
  absl::Duration retry_after;
  // After the call, if it is admitted; else as before, but counted anew.
  QuotaUse use;
};

// Whether `count` more images (at least 1) fit. The allowance is a bucket of
// one minute's images that fills evenly. A call for more than the bucket holds
// is admitted when it is full, and its debt has to be filled up again before
// the next: over time nobody gets more, and no call is refused for ever. A
// clock that goes back fills nothing. Pure.
QuotaDecision DecideQuota(const QuotaLimits& limits, uint32_t count,
                          absl::Time now, const QuotaUse& use);

// Thread-safe. Tenants are told apart by name, so what was used outlives a
// reload of the token file.
class TenantQuotas {
 public:
  // Room for one call's images; given back when it is destroyed. Must not
  // outlive the quotas.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    // The call came to nothing: it costs nothing of the minute, either.
    void Refund();

   private:
    friend class TenantQuotas;
    Lease(TenantQuotas* quotas, const Tenant& tenant, uint32_t count)
        : quotas_(quotas), tenant_(tenant.name), count_(count) {}

    TenantQuotas* quotas_;  // Null once moved from.
    std::string tenant_;
    uint32_t count_;
  };

  struct Refused {
    QuotaRefusal reason = QuotaRefusal::kRate;
    // What the caller is told: ResourceExhausted with a hint when to come back
    // (engine/api/retry_hint.h), or InvalidArgument for kTooMany.
    absl::Status status;
  };

  // The lease, or nothing and the reason in `refused`.
  // `count_field` is what the caller knows `count` by.
  std::optional<Lease> Admit(const Tenant& tenant, uint32_t count,
                             const char* count_field, absl::Time now,
                             Refused* refused) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Release(const std::string& tenant, uint32_t count)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Refund(const std::string& tenant, uint32_t count)
      ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  // Of every tenant that has called.
  std::map<std::string, QuotaUse> use_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_TENANT_QUOTAS_H_
