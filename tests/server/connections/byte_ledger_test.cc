#include "server/connections/byte_ledger.h"

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

using Reservation = ByteLedger::Reservation;
using Refusal = ByteLedger::Refusal;

class ByteLedgerTest : public ::testing::Test {
 protected:
  Reservation Take(const char* caller, int64_t bytes) {
    auto reserved = ledger_.Reserve(caller, bytes);
    EXPECT_TRUE(std::holds_alternative<Reservation>(reserved));
    return std::get<Reservation>(std::move(reserved));
  }
  Refusal Refused(const char* caller, int64_t bytes) {
    auto reserved = ledger_.Reserve(caller, bytes);
    EXPECT_TRUE(std::holds_alternative<Refusal>(reserved));
    return std::get<Refusal>(reserved);
  }

  std::vector<int64_t> changes_;
  ByteLedger ledger_{{.total = 100, .per_caller = 60},
                     [this](int64_t bytes) { changes_.push_back(bytes); }};
};

TEST_F(ByteLedgerTest, TakesUpToTheLastByteAndGivesBackWhatIsDestroyed) {
  {
    const Reservation a = Take("a", 60);
    const Reservation b = Take("b", 40);
    EXPECT_EQ(Refused("c", 1), Refusal::kTotal);
  }
  EXPECT_THAT(changes_, ElementsAre(60, 100, 60, 0));
  EXPECT_EQ(ledger_.callers(), 0u);
  Take("c", 60);
}

TEST_F(ByteLedgerTest, OneCallerCannotTakeAll) {
  const Reservation a = Take("a", 50);
  EXPECT_EQ(Refused("a", 11), Refusal::kCaller);
  const Reservation more = Take("a", 10);
  const Reservation b = Take("b", 40);
}

TEST_F(ByteLedgerTest, ARefusalBooksNothing) {
  EXPECT_EQ(Refused("a", 61), Refusal::kCaller);
  EXPECT_EQ(Refused("a", 101), Refusal::kTotal);
  EXPECT_THAT(changes_, ElementsAre());
  Take("a", 60);
}

TEST_F(ByteLedgerTest, ShrinksAndNeverGrows) {
  Reservation a = Take("a", 60);
  a.ShrinkTo(20);
  EXPECT_EQ(a.bytes(), 20);
  a.ShrinkTo(30);
  EXPECT_EQ(a.bytes(), 20);
  const Reservation more = Take("a", 40);
  a.ShrinkTo(-5);
  EXPECT_THAT(changes_, ElementsAre(60, 20, 60, 40));
}

TEST_F(ByteLedgerTest, MovedBytesAreGivenBackOnce) {
  {
    Reservation a = Take("a", 60);
    Reservation b = std::move(a);
    Reservation c;
    c = std::move(b);
    EXPECT_EQ(c.bytes(), 60);
    EXPECT_EQ(Refused("a", 1), Refusal::kCaller);
  }
  EXPECT_THAT(changes_, ElementsAre(60, 0));
}

TEST_F(ByteLedgerTest, NothingFitsEvenIntoAFullLedger) {
  const Reservation a = Take("a", 60);
  EXPECT_EQ(Take("a", 0).bytes(), 0);
}

}  // namespace
}  // namespace ddgan
