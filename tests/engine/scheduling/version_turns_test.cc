#include "engine/scheduling/version_turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/scripted_version_source.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsNull;

TEST(VersionTurnsTest, ANumberIsReusedOnceItsVersionHasNoRequests) {
  VersionTurns turns;
  auto first = SharedServableVersion("digits", 1);
  const auto second = SharedServableVersion("digits", 2);
  EXPECT_EQ(turns.Enter(first), 0u);
  EXPECT_EQ(turns.Enter(second), 1u);
  EXPECT_EQ(turns.Enter(first), 0u);
  const std::weak_ptr<const ServableVersion> watch = first;
  first.reset();
  turns.Leave(0);
  EXPECT_FALSE(watch.expired());
  turns.Leave(0);
  EXPECT_TRUE(watch.expired());
  EXPECT_THAT(turns.versions(), ElementsAre(IsNull(), second));
  EXPECT_EQ(turns.Enter(SharedServableVersion("faces", 1)), 0u);
}

TEST(VersionTurnsTest, VersionsOfAModelShareItsTurn) {
  VersionTurns turns;
  const size_t digits = turns.Enter(SharedServableVersion("digits", 1));
  const size_t faces = turns.Enter(SharedServableVersion("faces", 1));
  turns.TakeTurn(digits);
  turns.TakeTurn(faces);
  EXPECT_THAT(turns.last_turns(), ElementsAre(1, 2));
  // A new version of a model does not go ahead of the old.
  turns.Enter(SharedServableVersion("digits", 2));
  EXPECT_THAT(turns.last_turns(), ElementsAre(1, 2, 1));
  turns.TakeTurn(digits);
  EXPECT_THAT(turns.last_turns(), ElementsAre(3, 2, 3));
  // A new model goes behind those that wait.
  turns.Enter(SharedServableVersion("cats", 1));
  EXPECT_THAT(turns.last_turns(), ElementsAre(3, 2, 3, 3));
}

}  // namespace
}  // namespace ddgan
