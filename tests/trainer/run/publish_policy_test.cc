#include "trainer/run/publish_policy.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PublishPolicyTest, ByStepsAloneTimeNeverCounts) {
  const PublishIntervals intervals = {.steps = 10};
  EXPECT_TRUE(PublishIsDue(intervals, 20, absl::ZeroDuration()));
  EXPECT_FALSE(PublishIsDue(intervals, 21, absl::Hours(100)));
}

TEST(PublishPolicyTest, AnOldVersionIsFollowedByTheNextStep) {
  const PublishIntervals intervals = {.steps = 10, .time = absl::Minutes(3)};
  EXPECT_FALSE(PublishIsDue(intervals, 21, absl::Seconds(179)));
  EXPECT_TRUE(PublishIsDue(intervals, 21, absl::Seconds(180)));
  EXPECT_TRUE(PublishIsDue(intervals, 30, absl::ZeroDuration()));
}

TEST(RetentionTest, RemovesNothingUnlessTold) {
  EXPECT_THAT(VersionsToRemove({1, 2, 3}, {}), IsEmpty());
  EXPECT_THAT(VersionsToRemove({1, 2, 3}, {.every = 2}), IsEmpty());
}

TEST(RetentionTest, KeepsTheLast) {
  EXPECT_THAT(VersionsToRemove({10, 20, 30, 40}, {.last = 2}),
              ElementsAre(10, 20));
  EXPECT_THAT(VersionsToRemove({10, 20}, {.last = 2}), IsEmpty());
  EXPECT_THAT(VersionsToRemove({}, {.last = 2}), IsEmpty());
}

TEST(RetentionTest, KeepsMultiplesForEver) {
  EXPECT_THAT(VersionsToRemove({1000, 2000, 3000, 4000, 5000, 6000},
                               {.last = 1, .every = 2000}),
              ElementsAre(1000, 3000, 5000));
}

TEST(RetentionTest, KeepsTheFirstAfterAMultipleThatNoVersionHits) {
  // Of a run that counts on from version 960, or publishes by time.
  EXPECT_THAT(VersionsToRemove({1960, 2960, 3960, 4960, 5960},
                               {.last = 1, .every = 2000}),
              ElementsAre(1960, 3960));
}

TEST(RetentionTest, AskedAfterEveryVersionKeepsWhatItWouldKeepIfAskedOnce) {
  std::mt19937 random(7);
  for (int run = 0; run < 200; ++run) {
    const Retention retention = {
        .last = std::uniform_int_distribution<int64_t>(1, 4)(random),
        .every = std::uniform_int_distribution<int64_t>(0, 30)(random)};
    std::vector<int64_t> all;
    std::vector<int64_t> kept;
    int64_t version = 0;
    for (int i = 0; i < 40; ++i) {
      version += std::uniform_int_distribution<int64_t>(1, 12)(random);
      all.push_back(version);
      kept.push_back(version);
      for (const int64_t removed : VersionsToRemove(kept, retention))
        kept.erase(std::find(kept.begin(), kept.end(), removed));
    }
    std::vector<int64_t> kept_at_once;
    const std::vector<int64_t> removed = VersionsToRemove(all, retention);
    std::set_difference(all.begin(), all.end(), removed.begin(), removed.end(),
                        std::back_inserter(kept_at_once));
    EXPECT_EQ(kept, kept_at_once)
        << "last " << retention.last << ", every " << retention.every;
  }
}

}  // namespace
}  // namespace ddgan
