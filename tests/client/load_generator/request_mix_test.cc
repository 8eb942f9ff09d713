#include "client/load_generator/request_mix.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<CallPlan> FirstCalls(const MixOptions& options, uint64_t seed,
                                 size_t number) {
  RequestMix mix(options, seed);
  std::vector<CallPlan> calls;
  while (calls.size() < number) calls.push_back(mix.Next());
  return calls;
}

TEST(ParseMixTest, ReadsValuesWithWeightsAndRanges) {
  EXPECT_THAT(*ParseCounts("1,4,64"), ElementsAre(Weighted<uint32_t>{1, 1.0},
                                                  Weighted<uint32_t>{4, 1.0},
                                                  Weighted<uint32_t>{64, 1.0}));
  EXPECT_THAT(
      *ParseCounts("1:0.5,16:1.5"),
      ElementsAre(Weighted<uint32_t>{1, 0.5}, Weighted<uint32_t>{16, 1.5}));
  EXPECT_THAT(
      *ParseCounts("2-3:0.5,16"),
      ElementsAre(Weighted<uint32_t>{2, 0.25}, Weighted<uint32_t>{3, 0.25},
                  Weighted<uint32_t>{16, 1.0}));
  EXPECT_THAT(
      *ParseClasses("interactive:0.8,batch:0.2"),
      ElementsAre(
          Weighted<v1::RequestClass>{v1::REQUEST_CLASS_INTERACTIVE, 0.8},
          Weighted<v1::RequestClass>{v1::REQUEST_CLASS_BATCH, 0.2}));
  EXPECT_THAT(
      *ParseDeadlines("none,250ms:2"),
      ElementsAre(Weighted<absl::Duration>{absl::InfiniteDuration(), 1.0},
                  Weighted<absl::Duration>{absl::Milliseconds(250), 2.0}));
}

TEST(ParseMixTest, RefusesWhatDoesNotFit) {
  for (const std::string text :
       {"", "0", "65", "1,", "one", "1:", "1:0", "1:-1", "1:nan", "1:inf",
        "1:0.5:2", "4-2", "0-4", "1-65", "-4", "1-2-3"}) {
    const absl::Status status = ParseCounts(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("wanted counts from 1 to 64"));
  }
  for (const std::string text : {"", "urgent", "batch:0", "batch,,batch"}) {
    EXPECT_THAT(std::string(ParseClasses(text).status().message()),
                HasSubstr("wanted interactive or batch"));
  }
  for (const std::string text : {"", "soon", "0s", "-1s", "2", "2s:x"}) {
    EXPECT_THAT(std::string(ParseDeadlines(text).status().message()),
                HasSubstr("wanted times above 0 or none"));
  }
}

TEST(RequestMixTest, IsThePlainCallUnlessToldOtherwise) {
  std::set<uint64_t> seeds;
  for (const CallPlan& call : FirstCalls(MixOptions(), 1, 100)) {
    EXPECT_EQ(call.count, 1u);
    EXPECT_EQ(call.request_class, v1::REQUEST_CLASS_INTERACTIVE);
    EXPECT_EQ(call.deadline, absl::InfiniteDuration());
    EXPECT_FALSE(call.cancel_after.has_value());
    EXPECT_FALSE(call.client_id.has_value());
    seeds.insert(call.seed);
  }
  EXPECT_EQ(seeds.size(), 100u);
}

TEST(RequestMixTest, DrawsInProportionToTheWeights) {
  constexpr int kNumber = 100'000;
  MixOptions options;
  options.counts = {{1, 3.0}, {16, 1.0}};
  options.classes = {{v1::REQUEST_CLASS_INTERACTIVE, 0.2},
                     {v1::REQUEST_CLASS_BATCH, 0.8}};
  options.deadlines = {{absl::InfiniteDuration(), 1.0},
                       {absl::Seconds(2), 1.0}};
  options.cancel = 0.1;
  options.seed_pool = 4;
  options.client_ids = 2;
  std::map<std::string, double> share;
  std::set<uint64_t> seeds;
  double cancel_after = 0.0;
  for (const CallPlan& call : FirstCalls(options, 10, kNumber)) {
    if (call.count == 16) share["16"] += 1.0 / kNumber;
    if (call.request_class == v1::REQUEST_CLASS_BATCH) {
      share["batch"] += 1.0 / kNumber;
      // No property depends on another one.
      if (call.count == 16) share["16 in batch"] += 1.0 / kNumber;
    }
    if (call.deadline == absl::Seconds(2)) share["2s"] += 1.0 / kNumber;
    if (call.cancel_after.has_value()) {
      share["cancelled"] += 1.0 / kNumber;
      cancel_after += *call.cancel_after / kNumber;
    }
    if (call.client_id.value() == 1) share["client 1"] += 1.0 / kNumber;
    seeds.insert(call.seed);
  }
  // 4 standard errors are at most 0.0064.
  EXPECT_NEAR(share["16"], 0.25, 0.007);
  EXPECT_NEAR(share["batch"], 0.8, 0.007);
  EXPECT_NEAR(share["16 in batch"], 0.2, 0.007);
  EXPECT_NEAR(share["2s"], 0.5, 0.007);
  EXPECT_NEAR(share["cancelled"], 0.1, 0.007);
  EXPECT_NEAR(cancel_after, 0.1 * 0.5, 0.003);
  EXPECT_NEAR(share["client 1"], 0.5, 0.007);
  EXPECT_THAT(seeds, ElementsAre(10, 11, 12, 13));
}

TEST(RequestMixTest, ChangesWithItsSeedAndOnlyWhereItsOptionsDo) {
  MixOptions options;
  options.counts = *ParseCounts("1-64");
  const std::vector<CallPlan> calls = FirstCalls(options, 1, 20);
  options.client_ids = 5;
  options.cancel = 1.0;
  const std::vector<CallPlan> same_counts = FirstCalls(options, 1, 20);
  const std::vector<CallPlan> others = FirstCalls(options, 2, 20);
  int equal = 0;
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(calls[i].count, same_counts[i].count);
    EXPECT_EQ(calls[i].seed, same_counts[i].seed);
    if (calls[i].count == others[i].count) ++equal;
  }
  EXPECT_LT(equal, 10);
}

}  // namespace
}  // namespace ddgan
