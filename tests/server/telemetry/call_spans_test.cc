#include "server/telemetry/call_spans.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StrEq;
using Value = TraceSpan::Value;
using Numbers = std::vector<int64_t>;

constexpr SpanIdentity kCall = {0x4bf92f3577b34da6, 0xa3ce929d0e0e4736, 0xabc};
constexpr SpanIdentity kBatch = {1, 2, 3};
const absl::Duration kToWallClock = absl::Hours(1);

// `ms` after the call came in, by the clock of its times.
absl::Time At(int ms) {
  return absl::UnixEpoch() + absl::Hours(10) + absl::Milliseconds(ms);
}

CallTimeline Timeline() {
  CallTimeline timeline;
  timeline.method = RpcMethod::kGenerate;
  timeline.record.trace = {.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                           .span_id = "0000000000000abc",
                           .parent_id = "00f067aa0ba902b7",
                           .sampled = true,
                           .state = "vendor=1"};
  timeline.record.method = "Generate";
  timeline.record.caller = "gold";
  timeline.record.model = "digits";
  timeline.record.version = 7;
  timeline.record.count = 2;
  timeline.record.reply_bytes = 1234;
  timeline.arrived = At(0);
  timeline.ended = At(50);
  return timeline;
}

std::vector<TraceSpan> Spans(const CallTimeline& timeline,
                             const CallSteps& steps = {}) {
  uint64_t last = 100;
  return SpansOf(timeline, steps, kToWallClock, [&] { return ++last; });
}

TEST(CallSpansTest, ACallsSpanIsTheOneThatItsCallerWasTold) {
  const std::vector<TraceSpan> spans = Spans(Timeline());
  ASSERT_EQ(spans.size(), 1u);
  const TraceSpan& call = spans[0];
  EXPECT_EQ(call.identity, kCall);
  EXPECT_EQ(call.parent, 0x00f067aa0ba902b7u);
  EXPECT_EQ(call.state, "vendor=1");
  EXPECT_EQ(call.name, "ddgan.v1.ImageGeneration/Generate");
  EXPECT_TRUE(call.answers_a_call);
  EXPECT_EQ(call.start, At(0) + kToWallClock);
  EXPECT_EQ(call.end, At(50) + kToWallClock);
  EXPECT_TRUE(call.error.ok());
  EXPECT_THAT(
      call.attributes,
      ElementsAre(Pair(StrEq("rpc.system"), Value("grpc")),
                  Pair(StrEq("rpc.service"), Value("ddgan.v1.ImageGeneration")),
                  Pair(StrEq("rpc.method"), Value("Generate")),
                  Pair(StrEq("rpc.grpc.status_code"), Value(int64_t{0})),
                  Pair(StrEq("ddgan.caller"), Value("gold")),
                  Pair(StrEq("ddgan.model"), Value("digits")),
                  Pair(StrEq("ddgan.reply_bytes"), Value(int64_t{1234})),
                  Pair(StrEq("ddgan.version"), Value(int64_t{7})),
                  Pair(StrEq("ddgan.count"), Value(int64_t{2}))));
}

TEST(CallSpansTest, ATraceThatBeginsHereHasNoParent) {
  CallTimeline timeline = Timeline();
  timeline.record.trace.parent_id.clear();
  EXPECT_EQ(Spans(timeline)[0].parent, 0u);
}

TEST(CallSpansTest, PartsAndStepsAreBelowTheCallWithIdsOfTheirOwn) {
  CallTimeline timeline = Timeline();
  timeline.parts = {
      {.kind = CallPart::Kind::kAdmission, .start = At(0), .end = At(1)},
      {.kind = CallPart::Kind::kGuide, .start = At(1), .end = At(2)},
      {.kind = CallPart::Kind::kQueue, .start = At(2), .end = At(10)},
      {.kind = CallPart::Kind::kEncode,
       .start = At(30),
       .end = At(31),
       .position = 1,
       .preview_step = 2},
      {.kind = CallPart::Kind::kWrite, .start = At(40), .end = At(50)}};
  CallSteps steps;
  steps.steps.push_back({.batch = kBatch,
                         .start = At(10),
                         .end = At(20),
                         .lane = "cpu",
                         .batch_size = 6,
                         .positions = {0, 1},
                         .steps = {3, 3},
                         .status = absl::OkStatus()});
  const std::vector<TraceSpan> spans = Spans(timeline, steps);
  std::vector<std::string> names;
  std::set<uint64_t> ids;
  for (const TraceSpan& span : spans) {
    names.push_back(span.name);
    ids.insert(span.identity.span);
    EXPECT_EQ(span.identity.trace_high, kCall.trace_high);
    EXPECT_EQ(span.identity.trace_low, kCall.trace_low);
    EXPECT_EQ(span.state, "vendor=1");
    if (&span == &spans[0]) continue;
    EXPECT_EQ(span.parent, kCall.span);
    EXPECT_FALSE(span.answers_a_call);
  }
  EXPECT_THAT(names,
              ElementsAre("ddgan.v1.ImageGeneration/Generate", "admission",
                          "guide", "queue", "encode", "write", "step"));
  EXPECT_EQ(ids.size(), spans.size());
  EXPECT_EQ(spans[3].start, At(2) + kToWallClock);
  EXPECT_EQ(spans[3].end, At(10) + kToWallClock);
  EXPECT_THAT(
      spans[4].attributes,
      ElementsAre(Pair(StrEq("ddgan.image"), Value(int64_t{1})),
                  Pair(StrEq("ddgan.preview_step"), Value(int64_t{2}))));
  EXPECT_THAT(
      spans[6].attributes,
      ElementsAre(Pair(StrEq("ddgan.lane"), Value("cpu")),
                  Pair(StrEq("ddgan.batch_size"), Value(int64_t{6})),
                  Pair(StrEq("ddgan.images"), Value(Numbers{0, 1})),
                  Pair(StrEq("ddgan.steps_left"), Value(Numbers{3, 3}))));
  EXPECT_THAT(spans[6].links, ElementsAre(kBatch));
}

TEST(CallSpansTest, AnErrorOfTheServersMarksTheSpanAndOneOfTheCallersDoesNot) {
  CallTimeline timeline = Timeline();
  timeline.record.status = absl::InvalidArgumentError("count");
  TraceSpan call = Spans(timeline)[0];
  EXPECT_TRUE(call.error.ok());
  EXPECT_THAT(call.attributes,
              Contains(Pair(StrEq("rpc.grpc.status_code"), Value(int64_t{3}))));
  timeline.record.status = absl::UnavailableError("draining");
  call = Spans(timeline)[0];
  EXPECT_EQ(call.error, absl::UnavailableError("draining"));
  EXPECT_THAT(call.attributes, Contains(Pair(StrEq("rpc.grpc.status_code"),
                                             Value(int64_t{14}))));
}

TEST(CallSpansTest, ARefusedCallSaysNothingOfWhatItNeverGot) {
  CallTimeline timeline = Timeline();
  timeline.method = RpcMethod::kModelInfer;
  timeline.record.method = "ModelInfer";
  timeline.record.version.reset();
  timeline.record.count.reset();
  const TraceSpan call = Spans(timeline)[0];
  EXPECT_EQ(call.name, "inference.GRPCInferenceService/ModelInfer");
  EXPECT_THAT(call.attributes,
              AllOf(Not(Contains(Key(StrEq("ddgan.version")))),
                    Not(Contains(Key(StrEq("ddgan.count")))),
                    Not(Contains(Key(StrEq("ddgan.spans_left_out"))))));
}

TEST(CallSpansTest, TextsAreUtf8WhateverWasSent) {
  CallTimeline timeline = Timeline();
  timeline.record.model = "\xf0\x9f\x98";  // Of four bytes, cut.
  timeline.record.caller = "gr\xc3\xbc\xc3\x9f";
  timeline.record.status = absl::InternalError("of \xff");
  const TraceSpan call = Spans(timeline)[0];
  EXPECT_THAT(call.attributes,
              AllOf(Contains(Pair(StrEq("ddgan.model"), Value("\ufffd"))),
                    Contains(Pair(StrEq("ddgan.caller"),
                                  Value("gr\xc3\xbc\xc3\x9f")))));
  EXPECT_EQ(call.error, absl::InternalError("of \ufffd"));
}

TEST(CallSpansTest, ACallSaysHowManySpansItLacks) {
  CallTimeline timeline = Timeline();
  timeline.parts_left_out = 3;
  CallSteps steps;
  steps.left_out = 4;
  EXPECT_THAT(Spans(timeline, steps)[0].attributes,
              Contains(Pair(StrEq("ddgan.spans_left_out"), Value(int64_t{7}))));
}

TEST(CallSpansTest, ABatchIsATraceOfItsOwnThatLinksToItsCalls) {
  const ModelIdentity model = {"digits", 7, "digest"};
  const std::string lane = "cuda:1";
  const std::vector<TracedStep::Row> rows = {{0xabc, 0, 3}, {0xabc, 1, 3}};
  const absl::Status status = absl::InternalError("step failed");
  const TraceSpan span = SpanOf({.model = model,
                                 .device = lane,
                                 .batch_size = 5,
                                 .rows = rows,
                                 .start = At(10),
                                 .end = At(20),
                                 .device_time = absl::Milliseconds(9),
                                 .status = status},
                                kBatch, {kCall}, kToWallClock);
  EXPECT_EQ(span.identity, kBatch);
  EXPECT_EQ(span.parent, 0u);
  EXPECT_EQ(span.name, "batch");
  EXPECT_EQ(span.start, At(10) + kToWallClock);
  EXPECT_EQ(span.end, At(20) + kToWallClock);
  EXPECT_THAT(span.links, ElementsAre(kCall));
  EXPECT_EQ(span.error, status);
  EXPECT_THAT(
      span.attributes,
      ElementsAre(Pair(StrEq("ddgan.lane"), Value("cuda:1")),
                  Pair(StrEq("ddgan.batch_size"), Value(int64_t{5})),
                  Pair(StrEq("ddgan.traced_rows"), Value(int64_t{2})),
                  Pair(StrEq("ddgan.model"), Value("digits")),
                  Pair(StrEq("ddgan.version"), Value(int64_t{7})),
                  Pair(StrEq("ddgan.device_time_us"), Value(int64_t{9000}))));
}

}  // namespace
}  // namespace ddgan
