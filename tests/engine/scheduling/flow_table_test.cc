#include "engine/scheduling/flow_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

GenerationRequest Of(const std::string& caller,
                     RequestClass request_class = RequestClass::kInteractive) {
  GenerationRequest request;
  request.caller = caller;
  request.request_class = request_class;
  return request;
}

// `rows` rows of `flow` ran, beside one of `other` that still waits.
void Serve(FlowTable& table, size_t flow, size_t other, int rows) {
  std::vector<RunnableTrajectory> runnable(rows + 1);
  std::vector<size_t> taken;
  for (int i = 0; i < rows; ++i) {
    runnable[i].flow = flow;
    taken.push_back(i);
  }
  runnable[rows].flow = other;
  table.Charge(runnable, taken);
}

TEST(FlowTableTest, ACallerIsOneFlowInEachClass) {
  FlowTable table({});
  const size_t flow = table.Enter(Of("a"));
  EXPECT_EQ(table.Enter(Of("a")), flow);
  EXPECT_NE(table.Enter(Of("b")), flow);
  EXPECT_NE(table.Enter(Of("a", RequestClass::kBatch)), flow);
  EXPECT_EQ(table.shares().flows.size(), 3u);
}

TEST(FlowTableTest, WeightsOfFlowsWithWorkAddUp) {
  FlowTable table({{"gold", 3}});
  const size_t gold = table.Enter(Of("gold"));
  const size_t other = table.Enter(Of("other"));
  EXPECT_EQ(table.shares().active_weight[0], 4);
  // A request may set its caller's weight anew.
  GenerationRequest heavier = Of("other");
  heavier.caller_weight = 5;
  table.Enter(heavier);
  EXPECT_EQ(table.shares().active_weight[0], 8);
  table.Leave(other);
  EXPECT_EQ(table.shares().active_weight[0], 8);
  table.Leave(other);
  table.Leave(gold);
  EXPECT_EQ(table.shares().active_weight[0], 0);
}

TEST(FlowTableTest, AFlowThatOwesNothingIsForgottenWhenItHasNoRequests) {
  FlowTable table({});
  for (int i = 0; i < 100; ++i) {
    table.Leave(table.Enter(Of(absl::StrCat("caller ", i))));
  }
  EXPECT_EQ(table.shares().flows.size(), 1u);
}

TEST(FlowTableTest, AFlowThatOwesServiceIsRemembered) {
  FlowTable table({});
  const size_t waits = table.Enter(Of("waits"));
  const size_t greedy = table.Enter(Of("greedy"));
  Serve(table, greedy, waits, 100);
  const double service = table.shares().flows[greedy].service;
  table.Leave(greedy);
  EXPECT_NE(table.Enter(Of("new")), greedy);
  EXPECT_EQ(table.Enter(Of("greedy")), greedy);
  EXPECT_EQ(table.shares().flows[greedy].service, service);
}

TEST(FlowTableTest, TooManyFlowsAreForgottenWhateverTheyOwe) {
  FlowTable table({});
  const size_t waits = table.Enter(Of("waits"));
  for (size_t i = 0; i < FlowTable::kMaxFlows + 10; ++i) {
    GenerationRequest request = Of(absl::StrCat("caller ", i));
    request.caller_weight = 1e-6;  // So that one row is a large debt.
    const size_t flow = table.Enter(request);
    Serve(table, flow, waits, 1);
    table.Leave(flow);
  }
  EXPECT_EQ(table.shares().flows.size(), FlowTable::kMaxFlows);
}

TEST(FlowTableTest, OfALongNameOnlyTheBeginningCounts) {
  const std::string name(FlowTable::kMaxCallerSize, 'n');
  FlowTable table({{name, 7}});
  const size_t flow = table.Enter(Of(name));
  EXPECT_EQ(table.Enter(Of(name + "more")), flow);
  EXPECT_EQ(table.shares().flows[flow].weight, 7);
  EXPECT_NE(table.Enter(Of(name.substr(1))), flow);
}

}  // namespace
}  // namespace ddgan
