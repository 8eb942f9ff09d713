#include "server/access/trace_context.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::MatchesRegex;

constexpr char kTraceId[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kParentId[] = "00f067aa0ba902b7";

std::string Parent(const std::string& version = "00",
                   const std::string& trace_id = kTraceId,
                   const std::string& parent_id = kParentId,
                   const std::string& flags = "01") {
  return absl::StrCat(version, "-", trace_id, "-", parent_id, "-", flags);
}

TEST(TraceContextTest, ReadsATraceParent) {
  EXPECT_EQ(ParseTraceParent(Parent()),
            (TraceParent{kTraceId, kParentId, true}));
  EXPECT_EQ(ParseTraceParent(Parent("00", kTraceId, kParentId, "00")),
            (TraceParent{kTraceId, kParentId, false}));
  // Flags that have no meaning yet are nobody's business.
  EXPECT_EQ(ParseTraceParent(Parent("00", kTraceId, kParentId, "fe")),
            (TraceParent{kTraceId, kParentId, false}));
  EXPECT_EQ(ParseTraceParent(Parent("00", kTraceId, kParentId, "0f")),
            (TraceParent{kTraceId, kParentId, true}));
}

TEST(TraceContextTest, ReadsWhatItKnowsOfALaterVersion) {
  const TraceParent parent = {kTraceId, kParentId, true};
  EXPECT_EQ(ParseTraceParent(Parent("cc")), parent);
  EXPECT_EQ(ParseTraceParent(Parent("cc") + "-what-the-future-brings"), parent);
  EXPECT_EQ(ParseTraceParent(Parent("cc") + ".what"), std::nullopt);
  EXPECT_EQ(ParseTraceParent(Parent("cc") + "0"), std::nullopt);
}

TEST(TraceContextTest, RefusesWhatIsNoTraceParent) {
  const std::string good = Parent();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(ParseTraceParent(good.substr(0, size)), std::nullopt) << size;
  }
  for (const std::string& bad : {
           good + "-01",
           good + " ",
           " " + good,
           Parent("ff"),
           Parent("0x"),
           Parent("00", std::string(32, '0')),
           Parent("00", kTraceId, std::string(16, '0')),
           Parent("00", "4BF92F3577B34DA6A3CE929D0E0E4736"),
           Parent("00", kTraceId, "00F067AA0BA902B7"),
           Parent("00", kTraceId, kParentId, "0G"),
           Parent("00", kTraceId, kParentId, "-1"),
           std::string(55, '-'),
           std::string(55, '0'),
           std::string(1 << 16, 'a'),
       }) {
    EXPECT_EQ(ParseTraceParent(bad), std::nullopt) << bad.substr(0, 80);
  }
}

TEST(TraceContextTest, EveryByteOfATraceParentCounts) {
  const std::string good = Parent();
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char c : {'\0', '\n', 'g', 'A', '\x7f', '\xff', '"'}) {
      std::string bad = good;
      bad[at] = c;
      EXPECT_EQ(ParseTraceParent(bad), std::nullopt) << at;
    }
  }
}

TEST(TraceContextTest, ATraceStateIsAListOfPrintableMembers) {
  for (const char* good :
       {"congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t6", "a=1, b=2",
        "tenant@vendor=x", "a=with space", "a=1,", "0/*_-=~"}) {
    EXPECT_TRUE(IsTraceState(good)) << good;
  }
  std::string many = "k0=v";
  for (int i = 1; i < 32; ++i) absl::StrAppend(&many, ",k", i, "=v");
  EXPECT_TRUE(IsTraceState(many));
  for (const std::string& bad :
       {std::string(), std::string("novalue"), std::string("=v"),
        std::string("k="), std::string("K=v"), std::string("k=v=w"),
        std::string("k=v\n"), std::string("k=\x01"), std::string("k=\xc3\xa9"),
        std::string("k=v\0", 4), std::string("a=1,\tb=2"), many + ",k32=v",
        "k=" + std::string(257, 'v'), std::string(257, 'k') + "=v",
        "k=" + std::string(200, 'v') + ",l=" + std::string(200, 'v') +
            ",m=" + std::string(200, 'v')}) {
    EXPECT_FALSE(IsTraceState(bad)) << bad.substr(0, 80);
  }
}

TEST(TraceContextTest, ContinuesTheCallersTraceWithASpanOfItsOwn) {
  uint64_t last = 0;  // Draws 1, 2, 3, ...
  const auto draw = [&last] { return ++last; };
  const TraceContext trace =
      ContinueTrace({.parents = {Parent()}, .states = {"a=1", "b=2"}}, draw);
  EXPECT_EQ(trace.trace_id, kTraceId);
  EXPECT_EQ(trace.parent_id, kParentId);
  EXPECT_EQ(trace.span_id, "0000000000000001");
  EXPECT_TRUE(trace.sampled);
  EXPECT_EQ(trace.state, "a=1,b=2");
  EXPECT_EQ(FormatTraceParent(trace),
            absl::StrCat("00-", kTraceId, "-0000000000000001-01"));
}

TEST(TraceContextTest, ARatioOfTracesIsRecordedByTheirIdsAlone) {
  const std::string begin(18, 'f');  // What is not random is not looked at.
  const std::string lowest = begin + std::string(14, '0');
  const std::string half = begin + "8" + std::string(13, '0');
  const std::string below_half = begin + "7" + std::string(13, 'f');
  const std::string highest = begin + std::string(14, 'f');
  EXPECT_TRUE(IsInTraceRatio(lowest, 1));
  EXPECT_TRUE(IsInTraceRatio(half, 0.5));
  EXPECT_FALSE(IsInTraceRatio(below_half, 0.499));
  EXPECT_TRUE(IsInTraceRatio(highest, 1e-9));
  EXPECT_FALSE(IsInTraceRatio(highest, 0));
  EXPECT_FALSE(IsInTraceRatio(lowest, 0.999));
}

TEST(TraceContextTest, BeginsATraceWhereThereIsNoneToContinue) {
  for (const std::vector<std::string>& parents : {std::vector<std::string>{},
                                                  {"hostile\r\nvalue"},
                                                  {Parent("ff")},
                                                  {Parent(), Parent()}}) {
    uint64_t last = 0;
    const auto draw = [&last] { return ++last; };
    const TraceContext trace =
        ContinueTrace({.parents = parents, .states = {"a=1"}}, draw);
    EXPECT_EQ(trace.trace_id, "00000000000000020000000000000003");
    EXPECT_EQ(trace.span_id, "0000000000000001");
    EXPECT_EQ(trace.parent_id, "");
    EXPECT_FALSE(trace.sampled);
    EXPECT_EQ(trace.state, "");
    EXPECT_NE(ParseTraceParent(FormatTraceParent(trace)), std::nullopt);
  }
}

TEST(TraceContextTest, DropsAStateThatIsNone) {
  uint64_t last = 0;
  const auto draw = [&last] { return ++last; };
  const TraceContext trace = ContinueTrace(
      {.parents = {Parent()}, .states = {"a=1", "\x1b[31m"}}, draw);
  EXPECT_EQ(trace.trace_id, kTraceId);
  EXPECT_EQ(trace.state, "");
}

TEST(TraceContextTest, AnIdIsNeverAllZeros) {
  int draws = 0;
  const TraceContext trace =
      ContinueTrace({}, [&draws] { return ++draws % 2 == 1 ? 0 : ~0ull; });
  EXPECT_THAT(trace.span_id, MatchesRegex("f{16}"));
  EXPECT_THAT(trace.trace_id, MatchesRegex("f{32}"));
}

}  // namespace
}  // namespace ddgan
