#include "server/access/tenant_quotas.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/api/retry_hint.h"

namespace ddgan {
namespace {

absl::Status Refusal(const Tenant& tenant, uint32_t count,
                     const char* count_field, const QuotaDecision& decision) {
  switch (*decision.refusal) {
    case QuotaRefusal::kRate:
      return WithRetryAfter(
          absl::ResourceExhaustedError(absl::StrCat(
              "tenant ", tenant.name, " has used up its quota of ",
              *tenant.quota.images_per_minute, " images per minute")),
          decision.retry_after);
    case QuotaRefusal::kInFlight:
      return absl::ResourceExhaustedError(absl::StrCat(
          "tenant ", tenant.name, " has ", decision.use.in_flight,
          " images in flight, and ", count, " more would exceed its quota of ",
          *tenant.quota.images_in_flight));
    case QuotaRefusal::kTooMany:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      count_field, ": ", count, " is out of range [1, ",
      *tenant.quota.images_in_flight, "], the images in flight that tenant ",
      tenant.name, " may have"));
}

}  // namespace

QuotaDecision DecideQuota(const QuotaLimits& limits, uint32_t count,
                          absl::Time now, const QuotaUse& use) {
  QuotaDecision decision;
  decision.use = use;
  if (limits.images_in_flight.has_value()) {
    if (count > *limits.images_in_flight) {
      decision.refusal = QuotaRefusal::kTooMany;
      return decision;
    }
    if (use.in_flight + count > *limits.images_in_flight) {
      decision.refusal = QuotaRefusal::kInFlight;
      return decision;
    }
  }
  if (limits.images_per_minute.has_value()) {
    const auto bucket = static_cast<double>(*limits.images_per_minute);
    const double per_second = bucket / 60;
    const double passed =
        std::max(absl::ToDoubleSeconds(now - use.counted_at), 0.0);
    decision.use.counted_at = std::max(now, use.counted_at);
    decision.use.allowance =
        use.counted_at == absl::InfinitePast()
            ? bucket
            : std::min(bucket, use.allowance + passed * per_second);
    const double needed = std::min<double>(count, bucket);
    // Rounding must not refuse a caller that came when it was told to.
    if (decision.use.allowance < needed - 1e-6) {
      decision.refusal = QuotaRefusal::kRate;
      decision.retry_after =
          absl::Seconds((needed - decision.use.allowance) / per_second);
      return decision;
    }
    decision.use.allowance -= count;
  }
  decision.use.in_flight += count;
  return decision;
}

TenantQuotas::Lease::Lease(Lease&& other) noexcept
    : quotas_(std::exchange(other.quotas_, nullptr)),
      tenant_(std::move(other.tenant_)),
      count_(other.count_) {}

TenantQuotas::Lease& TenantQuotas::Lease::operator=(Lease&& other) noexcept {
  std::swap(quotas_, other.quotas_);
  std::swap(tenant_, other.tenant_);
  std::swap(count_, other.count_);
  return *this;
}

TenantQuotas::Lease::~Lease() {
  if (quotas_ != nullptr) quotas_->Release(tenant_, count_);
}

void TenantQuotas::Lease::Refund() { quotas_->Refund(tenant_, count_); }

std::optional<TenantQuotas::Lease> TenantQuotas::Admit(const Tenant& tenant,
                                                       uint32_t count,
                                                       const char* count_field,
                                                       absl::Time now,
                                                       Refused* refused) {
  QuotaDecision decision;
  {
    absl::MutexLock lock(&mu_);
    QuotaUse& use = use_[tenant.name];
    decision = DecideQuota(tenant.quota, count, now, use);
    use = decision.use;
  }
  if (!decision.refusal.has_value()) return Lease(this, tenant, count);
  *refused = {*decision.refusal, Refusal(tenant, count, count_field, decision)};
  return std::nullopt;
}

void TenantQuotas::Release(const std::string& tenant, uint32_t count) {
  absl::MutexLock lock(&mu_);
  use_[tenant].in_flight -= count;
}

void TenantQuotas::Refund(const std::string& tenant, uint32_t count) {
  absl::MutexLock lock(&mu_);
  use_[tenant].allowance += count;
}

}  // namespace ddgan
