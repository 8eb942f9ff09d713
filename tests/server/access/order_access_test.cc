#include "server/access/order_access.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(OrderAccessTest, TheAdminPortTakesThemWhereThereIsOne) {
  for (const bool loopback : {false, true}) {
    for (const bool tokens : {false, true}) {
      EXPECT_EQ(DecideOrderAccess(loopback, /*has_admin_port=*/true, tokens),
                OrderAccess::kElsewhere);
    }
  }
}

TEST(OrderAccessTest, OtherwiseOneMustBeOfThisMachineOrHaveAToken) {
  const auto decide = [](bool loopback, bool tokens) {
    return DecideOrderAccess(loopback, /*has_admin_port=*/false, tokens);
  };
  EXPECT_EQ(decide(/*loopback=*/true, /*tokens=*/false), OrderAccess::kTaken);
  EXPECT_EQ(decide(/*loopback=*/true, /*tokens=*/true), OrderAccess::kTaken);
  EXPECT_EQ(decide(/*loopback=*/false, /*tokens=*/true), OrderAccess::kTaken);
  EXPECT_EQ(decide(/*loopback=*/false, /*tokens=*/false), OrderAccess::kNobody);
}

TEST(OrderAccessTest, ARefusalSaysWhatHelps) {
  EXPECT_TRUE(CheckOrder(OrderAccess::kTaken).ok());
  const absl::Status elsewhere = CheckOrder(OrderAccess::kElsewhere);
  EXPECT_TRUE(absl::IsUnimplemented(elsewhere));
  EXPECT_THAT(std::string(elsewhere.message()), HasSubstr("--admin_listen"));
  const absl::Status nobody = CheckOrder(OrderAccess::kNobody);
  EXPECT_TRUE(absl::IsPermissionDenied(nobody));
  EXPECT_THAT(std::string(nobody.message()),
              AllOf(HasSubstr("--admin_listen"), HasSubstr("--token_file")));
}

}  // namespace
}  // namespace ddgan
