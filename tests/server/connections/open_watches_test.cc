#include "server/connections/open_watches.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

// As many as get a place.
std::vector<OpenWatches::Place> EnterAll(OpenWatches* watches,
                                         const std::string& peer) {
  std::vector<OpenWatches::Place> places;
  while (std::optional<OpenWatches::Place> place = watches->Enter(peer)) {
    places.push_back(*std::move(place));
  }
  return places;
}

TEST(OpenWatchesTest, OneAddressLeavesAsMuchForOthers) {
  OpenWatches watches;
  const auto first = EnterAll(&watches, "ipv4:10.0.0.1:5000");
  EXPECT_EQ(first.size(), OpenWatches::kMax / 2u);
  // Another port is the same peer, another address is none.
  EXPECT_FALSE(watches.Enter("ipv4:10.0.0.1:5001").has_value());
  const auto second = EnterAll(&watches, "ipv4:10.0.0.2:5000");
  EXPECT_EQ(second.size(), OpenWatches::kMax / 4u);
}

TEST(OpenWatchesTest, APlaceThatIsLeftIsFree) {
  OpenWatches watches;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(EnterAll(&watches, "ipv4:10.0.0.1:5000").size(),
              OpenWatches::kMax / 2u);
  }
}

TEST(OpenWatchesTest, TheRefusalSaysHowManyThereMayBe) {
  EXPECT_EQ(OpenWatches::Refusal(),
            absl::ResourceExhaustedError(
                "too many watches are open: 1024 in all, and half of what is "
                "left for one address"));
}

}  // namespace
}  // namespace ddgan
