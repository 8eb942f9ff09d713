#include "server/telemetry/trace_recorder.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StrEq;
using Value = TraceSpan::Value;
using Numbers = std::vector<int64_t>;

class KeptSpans : public TraceExport {
 public:
  explicit KeptSpans(std::vector<TraceSpan>* spans) : spans_(*spans) {}
  void Add(const std::vector<TraceSpan>& spans) override {
    spans_.insert(spans_.end(), spans.begin(), spans.end());
  }

 private:
  std::vector<TraceSpan>& spans_;
};

TraceContext Trace(int number) {
  return {.trace_id = absl::StrCat(absl::Hex(number, absl::kZeroPad16),
                                   "00000000000000ff"),
          .span_id = absl::StrCat(absl::Hex(number, absl::kZeroPad16)),
          .parent_id = "",
          .sampled = true,
          .state = ""};
}

class TraceRecorderTest : public ::testing::Test {
 protected:
  TraceRecorderTest() {
    wall_clock_.Advance(absl::Hours(1));
    recorder_.SendSpansTo(std::make_unique<KeptSpans>(&spans_));
  }

  void Step(const std::vector<TracedStep::Row>& rows, int batch_size) {
    recorder_.OnTracedStep({.model = model_,
                            .device = lane_,
                            .batch_size = batch_size,
                            .rows = rows,
                            .start = clock_.Now(),
                            .end = clock_.Now() + absl::Milliseconds(5),
                            .device_time = absl::Milliseconds(4),
                            .status = ok_});
    clock_.Advance(absl::Milliseconds(5));
    wall_clock_.Advance(absl::Milliseconds(5));
  }

  // Returns the spans that this adds.
  std::vector<TraceSpan> End(int number) {
    spans_.clear();
    CallTimeline timeline;
    timeline.record.trace = Trace(number);
    timeline.record.method = "Generate";
    timeline.arrived = timeline.ended = clock_.Now();
    recorder_.OnTraceEnded(timeline);
    return spans_;
  }

  const ModelIdentity model_ = {"digits", 7, "digest"};
  const std::string lane_ = "cpu";
  const absl::Status ok_;
  ManualClock clock_;
  ManualClock wall_clock_;
  MetricsRegistry registry_;
  TraceRecorder recorder_{&registry_, &clock_, &wall_clock_};
  std::vector<TraceSpan> spans_;
};

TEST_F(TraceRecorderTest, ABatchLinksToItsCallsAndTheirStepsLinkToIt) {
  recorder_.OnTraceBegun(Trace(1));
  recorder_.OnTraceBegun(Trace(2));
  Step({{1, 0, 3}, {2, 5, 2}, {1, 1, 3}}, 4);
  ASSERT_THAT(spans_, SizeIs(1));
  const TraceSpan batch = spans_[0];
  EXPECT_EQ(batch.name, "batch");
  EXPECT_EQ(batch.parent, 0u);
  EXPECT_THAT(batch.links,
              ElementsAre(IdentityOf(Trace(1)), IdentityOf(Trace(2))));
  EXPECT_EQ(batch.start, wall_clock_.Now() - absl::Milliseconds(5));

  const std::vector<TraceSpan> first = End(1);
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[0].identity, IdentityOf(Trace(1)));
  EXPECT_EQ(first[1].name, "step");
  EXPECT_THAT(first[1].links, ElementsAre(batch.identity));
  EXPECT_THAT(first[1].attributes,
              Contains(Pair(StrEq("ddgan.images"), Value(Numbers{0, 1}))));
  EXPECT_THAT(first[1].attributes,
              Contains(Pair(StrEq("ddgan.batch_size"), Value(int64_t{4}))));
  const std::vector<TraceSpan> second = End(2);
  ASSERT_THAT(second, SizeIs(2));
  EXPECT_THAT(second[1].links, ElementsAre(batch.identity));
  EXPECT_THAT(second[1].attributes,
              Contains(Pair(StrEq("ddgan.steps_left"), Value(Numbers{2}))));
}

TEST_F(TraceRecorderTest, EachBatchIsAnotherTrace) {
  recorder_.OnTraceBegun(Trace(1));
  Step({{1, 0, 1}}, 1);
  Step({{1, 0, 0}}, 1);
  ASSERT_THAT(spans_, SizeIs(2));
  EXPECT_NE(spans_[0].identity.trace_low, spans_[1].identity.trace_low);
  EXPECT_THAT(End(1), SizeIs(3));
}

TEST_F(TraceRecorderTest, AStepThatOutlastsItsCallsIsNobodys) {
  recorder_.OnTraceBegun(Trace(1));
  EXPECT_THAT(End(1), SizeIs(1));
  spans_.clear();
  Step({{1, 0, 3}}, 1);
  EXPECT_THAT(spans_, IsEmpty());
}

TEST_F(TraceRecorderTest, StepsOfACallAreBounded) {
  recorder_.OnTraceBegun(Trace(1));
  for (size_t i = 0; i < kMaxCallSteps + 2; ++i) {
    Step({{1, 0, 3}, {1, 1, 3}}, 2);
  }
  const std::vector<TraceSpan> spans = End(1);
  EXPECT_THAT(spans, SizeIs(1 + kMaxCallSteps));
  EXPECT_THAT(spans[0].attributes,
              Contains(Pair(StrEq("ddgan.spans_left_out"), Value(int64_t{2}))));
}

}  // namespace
}  // namespace ddgan
