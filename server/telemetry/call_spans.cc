#include "server/telemetry/call_spans.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/telemetry/log_format.h"

namespace ddgan {
namespace {

constexpr size_t kDigits = 16;  // Of 64 bits.

uint64_t FromHex(absl::string_view digits) {
  uint64_t value = 0;
  (void)absl::SimpleHexAtoi(digits, &value);  // The room below has checked.
  return value;
}

// Not 0, which no id may be.
uint64_t DrawId(absl::FunctionRef<uint64_t()> draw) {
  uint64_t id = 0;
  while (id == 0) id = draw();
  return id;
}

// Whether a call that ended so is an error of the server's, by OpenTelemetry's
// conventions for gRPC servers. The others are their callers'.
bool IsServersError(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

// What a caller sent may have been cut amid a character. A collector refuses
// all spans that come with one whose text is no UTF-8.
std::string AsUtf8(absl::string_view text) {
  if (std::all_of(text.begin(), text.end(), absl::ascii_isascii)) {
    return std::string(text);
  }
  return nlohmann::json::parse(QuoteForJson(text)).get<std::string>();
}

absl::Status AsUtf8(const absl::Status& status) {
  return absl::Status(status.code(), AsUtf8(status.message()));
}

const char* NameOf(CallPart::Kind kind) {
  switch (kind) {
    case CallPart::Kind::kAdmission:
      return "admission";
    case CallPart::Kind::kGuide:
      return "guide";
    case CallPart::Kind::kQueue:
      return "queue";
    case CallPart::Kind::kEncode:
      return "encode";
    case CallPart::Kind::kWrite:
      return "write";
  }
  return "unknown";
}

TraceSpan::Attributes AttributesOf(const CallTimeline& timeline,
                                   const CallSteps& steps) {
  const AccessRecord& record = timeline.record;
  TraceSpan::Attributes attributes = {
      {"rpc.system", "grpc"},
      {"rpc.service", ServiceOf(timeline.method)},
      {"rpc.method", record.method},
      {"rpc.grpc.status_code", int64_t{record.status.raw_code()}},
      {"ddgan.caller", AsUtf8(record.caller)},
      {"ddgan.model", AsUtf8(record.model)},
      {"ddgan.reply_bytes", record.reply_bytes},
  };
  if (record.version.has_value()) {
    attributes.emplace_back("ddgan.version", *record.version);
  }
  if (record.count.has_value()) {
    attributes.emplace_back("ddgan.count", int64_t{*record.count});
  }
  const int left_out = timeline.parts_left_out + steps.left_out;
  if (left_out > 0) {
    attributes.emplace_back("ddgan.spans_left_out", int64_t{left_out});
  }
  return attributes;
}

}  // namespace

SpanIdentity IdentityOf(const TraceContext& trace) {
  const absl::string_view trace_id = trace.trace_id;
  return {.trace_high = FromHex(trace_id.substr(0, kDigits)),
          .trace_low = FromHex(trace_id.substr(kDigits)),
          .span = FromHex(trace.span_id)};
}

std::vector<TraceSpan> SpansOf(const CallTimeline& timeline,
                               const CallSteps& steps,
                               absl::Duration to_wall_clock,
                               absl::FunctionRef<uint64_t()> draw) {
  const AccessRecord& record = timeline.record;
  const SpanIdentity call = IdentityOf(record.trace);
  std::vector<TraceSpan> spans;
  spans.reserve(1 + timeline.parts.size() + steps.steps.size());
  TraceSpan& root = spans.emplace_back();
  root.identity = call;
  root.parent = FromHex(record.trace.parent_id);
  root.name = absl::StrCat(ServiceOf(timeline.method), "/", record.method);
  root.answers_a_call = true;
  root.start = timeline.arrived + to_wall_clock;
  root.end = timeline.ended + to_wall_clock;
  root.attributes = AttributesOf(timeline, steps);
  if (IsServersError(record.status.code())) root.error = AsUtf8(record.status);

  const auto below = [&](const char* name, absl::Time start,
                         absl::Time end) -> TraceSpan& {
    TraceSpan& span = spans.emplace_back();
    span.identity = {call.trace_high, call.trace_low, DrawId(draw)};
    span.parent = call.span;
    span.name = name;
    span.start = start + to_wall_clock;
    span.end = end + to_wall_clock;
    return span;
  };
  for (const CallPart& part : timeline.parts) {
    TraceSpan& span = below(NameOf(part.kind), part.start, part.end);
    if (part.position.has_value()) {
      span.attributes.emplace_back("ddgan.image", int64_t{*part.position});
    }
    if (part.preview_step.has_value()) {
      span.attributes.emplace_back("ddgan.preview_step",
                                   int64_t{*part.preview_step});
    }
  }
  for (const CallStep& step : steps.steps) {
    TraceSpan& span = below("step", step.start, step.end);
    span.attributes = {{"ddgan.lane", step.lane},
                       {"ddgan.batch_size", int64_t{step.batch_size}},
                       {"ddgan.images", step.positions},
                       {"ddgan.steps_left", step.steps}};
    span.links = {step.batch};
    span.error = AsUtf8(step.status);
  }
  for (TraceSpan& span : spans) span.state = record.trace.state;
  return spans;
}

TraceSpan SpanOf(const TracedStep& step, const SpanIdentity& identity,
                 std::vector<SpanIdentity> calls,
                 absl::Duration to_wall_clock) {
  TraceSpan span;
  span.identity = identity;
  span.name = "batch";
  span.start = step.start + to_wall_clock;
  span.end = step.end + to_wall_clock;
  span.attributes = {
      {"ddgan.lane", step.device},
      {"ddgan.batch_size", int64_t{step.batch_size}},
      {"ddgan.traced_rows", static_cast<int64_t>(step.rows.size())},
      {"ddgan.model", step.model.model},
      {"ddgan.version", step.model.version},
      {"ddgan.device_time_us", absl::ToInt64Microseconds(step.device_time)}};
  span.links = std::move(calls);
  span.error = AsUtf8(step.status);
  return span;
}

}  // namespace ddgan
