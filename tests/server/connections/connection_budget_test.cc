#include "server/connections/connection_budget.h"

#include <cerrno>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(ConnectionBudgetTest, RefusesMoreThanOnePeerMayHave) {
  ConnectionBudget budget({.total = 10, .per_peer = 2});
  EXPECT_EQ(budget.Admit("a"), std::nullopt);
  EXPECT_EQ(budget.Admit("a"), std::nullopt);
  EXPECT_EQ(budget.Admit("a"), ConnectionRefusal::kPeer);
  EXPECT_EQ(budget.Admit("b"), std::nullopt);
  EXPECT_EQ(budget.open(), 3);
}

TEST(ConnectionBudgetTest, RefusesMoreThanThereMayBeInAll) {
  ConnectionBudget budget({.total = 2, .per_peer = 2});
  EXPECT_EQ(budget.Admit("a"), std::nullopt);
  EXPECT_EQ(budget.Admit("b"), std::nullopt);
  EXPECT_EQ(budget.Admit("c"), ConnectionRefusal::kTotal);
  EXPECT_EQ(budget.open(), 2);
}

TEST(ConnectionBudgetTest, AClosedConnectionMakesRoom) {
  ConnectionBudget budget({.total = 2, .per_peer = 1});
  EXPECT_EQ(budget.Admit("a"), std::nullopt);
  budget.Release("a");
  EXPECT_EQ(budget.open(), 0);
  EXPECT_EQ(budget.Admit("a"), std::nullopt);
  EXPECT_EQ(budget.Admit("a"), ConnectionRefusal::kPeer);
}

TEST(ConnectionBudgetTest, KeepsWhatDescriptorsAllow) {
  const ConnectionBudget::Limits wanted = {.total = 4096, .per_peer = 1024};
  const auto kept = FitToDescriptors(wanted, 20000, 60);
  EXPECT_EQ(kept.total, 4096);
  EXPECT_EQ(kept.per_peer, 1024);
  // (200 - 60 - 48) / 2, and half of them for the others.
  const auto lowered = FitToDescriptors(wanted, 200, 60);
  EXPECT_EQ(lowered.total, 46);
  EXPECT_EQ(lowered.per_peer, 23);
  const auto least = FitToDescriptors(wanted, 64, 60);
  EXPECT_EQ(least.total, 1);
  EXPECT_EQ(least.per_peer, 1);
  EXPECT_EQ(FitToDescriptors({.total = 100, .per_peer = 5}, 200, 60).per_peer,
            5);
}

TEST(ConnectionBudgetTest, KnowsWhichErrorsOfAcceptAreTheConnectionsOwn) {
  EXPECT_EQ(ClassifyAcceptError(EAGAIN), AcceptError::kNothingWaits);
  EXPECT_EQ(ClassifyAcceptError(ECONNABORTED), AcceptError::kNextOne);
  EXPECT_EQ(ClassifyAcceptError(EINTR), AcceptError::kNextOne);
  EXPECT_EQ(ClassifyAcceptError(EMFILE), AcceptError::kOutOfDescriptors);
  EXPECT_EQ(ClassifyAcceptError(ENFILE), AcceptError::kOutOfDescriptors);
  EXPECT_EQ(ClassifyAcceptError(ENOMEM), AcceptError::kPause);
  EXPECT_EQ(ClassifyAcceptError(EBADF), AcceptError::kPause);
}

}  // namespace
}  // namespace ddgan
