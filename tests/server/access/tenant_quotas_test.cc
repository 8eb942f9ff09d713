#include "server/access/tenant_quotas.h"

#include <optional>
#include <string>

#include "engine/api/retry_hint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

// Calls made one after the other.
class Caller {
 public:
  explicit Caller(QuotaLimits limits) : limits_(limits) {}
  QuotaDecision Call(uint32_t count, absl::Duration since_start) {
    const QuotaDecision decision =
        DecideQuota(limits_, count, kStart + since_start, use_);
    use_ = decision.use;
    return decision;
  }
  bool Admitted(uint32_t count, absl::Duration since_start) {
    return !Call(count, since_start).refusal.has_value();
  }

 private:
  const QuotaLimits limits_;
  QuotaUse use_;
};

TEST(DecideQuotaTest, WithoutLimitsEverythingFits) {
  Caller caller(QuotaLimits{});
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(caller.Admitted(64, absl::ZeroDuration()));
  }
}

TEST(DecideQuotaTest, AMinutesImagesMayBeAskedForAtOnceAndComeBackEvenly) {
  Caller caller({.images_per_minute = 120});
  EXPECT_TRUE(caller.Admitted(64, absl::ZeroDuration()));
  EXPECT_TRUE(caller.Admitted(56, absl::ZeroDuration()));
  const QuotaDecision refused = caller.Call(1, absl::ZeroDuration());
  EXPECT_EQ(refused.refusal, QuotaRefusal::kRate);
  EXPECT_EQ(refused.retry_after, absl::Milliseconds(500));
  EXPECT_FALSE(caller.Admitted(1, absl::Milliseconds(499)));
  EXPECT_TRUE(caller.Admitted(1, absl::Milliseconds(500)));
  EXPECT_FALSE(caller.Admitted(1, absl::Milliseconds(600)));
  // Never more than a minute's, however long nobody called.
  EXPECT_TRUE(caller.Admitted(64, absl::Hours(1)));
  EXPECT_TRUE(caller.Admitted(56, absl::Hours(1)));
  EXPECT_FALSE(caller.Admitted(1, absl::Hours(1)));
}

TEST(DecideQuotaTest, WhoComesWhenToldToIsAdmitted) {
  Caller caller({.images_per_minute = 7});
  absl::Duration now;
  for (int i = 0; i < 1000; ++i) {
    const QuotaDecision decision = caller.Call(1 + i % 5, now);
    if (!decision.refusal.has_value()) continue;
    // To the moment, and as the hint has it.
    now += i % 2 == 0 ? decision.retry_after
                      : absl::Ceil(decision.retry_after, absl::Milliseconds(1));
    ASSERT_TRUE(caller.Admitted(1 + i % 5, now)) << i;
  }
}

TEST(DecideQuotaTest, OverTimeNobodyGetsMoreThanTheRate) {
  Caller caller({.images_per_minute = 60});
  int images = 0;
  for (absl::Duration now; now < absl::Minutes(10);
       now += absl::Milliseconds(100)) {
    if (caller.Admitted(64, now)) images += 64;
  }
  EXPECT_GT(images, 9 * 60);
  EXPECT_LE(images, 11 * 60 + 64);
}

TEST(DecideQuotaTest, ACallForMoreThanAMinuteHasIsPaidForAfterwards) {
  Caller caller({.images_per_minute = 10});
  EXPECT_TRUE(caller.Admitted(64, absl::ZeroDuration()));
  // 54 of debt and one image.
  EXPECT_EQ(caller.Call(1, absl::ZeroDuration()).retry_after,
            absl::Seconds(330));
  EXPECT_FALSE(caller.Admitted(1, absl::Seconds(329)));
  EXPECT_TRUE(caller.Admitted(1, absl::Seconds(330)));
}

TEST(DecideQuotaTest, AClockThatGoesBackGivesNothingAway) {
  Caller caller({.images_per_minute = 60});
  EXPECT_TRUE(caller.Admitted(60, absl::Minutes(5)));
  EXPECT_FALSE(caller.Admitted(1, absl::ZeroDuration()));
  EXPECT_FALSE(caller.Admitted(1, absl::Minutes(5)));
  EXPECT_TRUE(caller.Admitted(1, absl::Minutes(5) + absl::Seconds(1)));
}

TEST(DecideQuotaTest, BoundsTheImagesInFlight) {
  Caller caller({.images_in_flight = 100});
  EXPECT_TRUE(caller.Admitted(64, absl::ZeroDuration()));
  EXPECT_EQ(caller.Call(37, absl::ZeroDuration()).refusal,
            QuotaRefusal::kInFlight);
  EXPECT_TRUE(caller.Admitted(36, absl::ZeroDuration()));
  EXPECT_EQ(caller.Call(1, absl::Hours(1)).refusal, QuotaRefusal::kInFlight);
  // Which no wait would help.
  Caller small({.images_in_flight = 16});
  EXPECT_EQ(small.Call(17, absl::ZeroDuration()).refusal,
            QuotaRefusal::kTooMany);
}

TEST(DecideQuotaTest, WhatIsRefusedCostsNothing) {
  Caller caller({.images_per_minute = 100, .images_in_flight = 64});
  EXPECT_TRUE(caller.Admitted(64, absl::ZeroDuration()));
  EXPECT_EQ(caller.Call(1, absl::ZeroDuration()).refusal,
            QuotaRefusal::kInFlight);
  EXPECT_EQ(caller.Call(1, absl::ZeroDuration()).use.allowance, 36);
}

Tenant Studio(QuotaLimits quota) {
  Tenant tenant;
  tenant.name = "studio";
  tenant.quota = quota;
  return tenant;
}

TEST(TenantQuotasTest, ALeaseGivesItsPlacesBack) {
  TenantQuotas quotas;
  const Tenant studio = Studio({.images_in_flight = 10});
  TenantQuotas::Refused refused;
  {
    const auto lease = quotas.Admit(studio, 10, "count", kStart, &refused);
    ASSERT_TRUE(lease.has_value());
    EXPECT_FALSE(
        quotas.Admit(studio, 1, "count", kStart, &refused).has_value());
    EXPECT_EQ(refused.reason, QuotaRefusal::kInFlight);
    EXPECT_TRUE(absl::IsResourceExhausted(refused.status));
    EXPECT_THAT(std::string(refused.status.message()),
                AllOf(HasSubstr("studio"), HasSubstr("10 images in flight"),
                      HasSubstr("quota of 10")));
  }
  EXPECT_TRUE(quotas.Admit(studio, 10, "count", kStart, &refused).has_value());
}

TEST(TenantQuotasTest, ARefundGivesTheMinutesImagesBackToo) {
  TenantQuotas quotas;
  const Tenant studio = Studio({.images_per_minute = 60});
  TenantQuotas::Refused refused;
  {
    auto lease = quotas.Admit(studio, 60, "count", kStart, &refused);
    ASSERT_TRUE(lease.has_value());
    lease->Refund();
  }
  ASSERT_TRUE(quotas.Admit(studio, 60, "count", kStart, &refused).has_value());
  EXPECT_FALSE(quotas.Admit(studio, 2, "count", kStart, &refused).has_value());
  EXPECT_EQ(RetryAfter(refused.status), absl::Seconds(2));
}

TEST(TenantQuotasTest, TenantsDoNotPayForOneAnother) {
  TenantQuotas quotas;
  const Tenant studio = Studio({.images_per_minute = 1});
  Tenant guest = studio;
  guest.name = "guest";
  TenantQuotas::Refused refused;
  EXPECT_TRUE(quotas.Admit(studio, 1, "count", kStart, &refused).has_value());
  EXPECT_FALSE(quotas.Admit(studio, 1, "count", kStart, &refused).has_value());
  EXPECT_TRUE(quotas.Admit(guest, 1, "count", kStart, &refused).has_value());
}

TEST(TenantQuotasTest, ACountThatNeverFitsIsNamedWithItsRange) {
  TenantQuotas quotas;
  TenantQuotas::Refused refused;
  EXPECT_FALSE(quotas
                   .Admit(Studio({.images_in_flight = 16}), 17, "inputs",
                          kStart, &refused)
                   .has_value());
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status));
  EXPECT_THAT(std::string(refused.status.message()),
              HasSubstr("inputs: 17 is out of range [1, 16]"));
}

}  // namespace
}  // namespace ddgan
