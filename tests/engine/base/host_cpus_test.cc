#include "engine/base/host_cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <thread>

namespace ddgan {
namespace {

TEST(HostCpusTest, AQuotaOfVersion2IsRoundedUp) {
  EXPECT_EQ(ParseCpuQuota("200000 100000\n"), 2);
  EXPECT_EQ(ParseCpuQuota("200001 100000\n"), 3);
  EXPECT_EQ(ParseCpuQuota("1000 100000\n"), 1);
  EXPECT_EQ(ParseCpuQuota("50000 20000"), 3);
  EXPECT_EQ(ParseCpuQuota("9223372036854775807 1"), 1 << 20);
}

TEST(HostCpusTest, AQuotaOfVersion1IsRoundedUp) {
  EXPECT_EQ(ParseCpuQuota("150000\n", "100000\n"), 2);
  EXPECT_EQ(ParseCpuQuota("100000\n", "100000\n"), 1);
  EXPECT_EQ(ParseCpuQuota("-1\n", "100000\n"), std::nullopt);
}

TEST(HostCpusTest, WhatStatesNoLimitIsNone) {
  for (const char* text :
       {"max 100000\n", "max\n", "", "\n", "100000", "0 100000", "-1 100000",
        "100000 0", "100000 max", "1x 100000", "100000 1x",
        "99999999999999999999 100000"}) {
    EXPECT_EQ(ParseCpuQuota(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseCpuQuota("", ""), std::nullopt);
  EXPECT_EQ(ParseCpuQuota("100000", ""), std::nullopt);
}

TEST(HostCpusTest, AThreadSeesTheCpusItIsPinnedTo) {
  const std::vector<int> allowed = AllowedCpus();
  ASSERT_FALSE(allowed.empty());
  EXPECT_TRUE(std::is_sorted(allowed.begin(), allowed.end()));
  EXPECT_GE(UsableCpus(), 1);
  EXPECT_LE(UsableCpus(), static_cast<int>(allowed.size()));
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(allowed.back()), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(AllowedCpus(), std::vector<int>{allowed.back()});
    EXPECT_EQ(UsableCpus(), 1);
  }).join();
}

}  // namespace
}  // namespace ddgan
