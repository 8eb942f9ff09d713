// Which trace a call belongs to, by W3C Trace Context: what the caller's
// `traceparent` and `tracestate` say, read strictly, or a trace that begins
// here. Pure functions; they never fail a call.
#ifndef DDGAN_SERVER_ACCESS_TRACE_CONTEXT_H_
#define DDGAN_SERVER_ACCESS_TRACE_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// The metadata's keys, both ways.
inline constexpr char kTraceParentKey[] = "traceparent";
inline constexpr char kTraceStateKey[] = "tracestate";

// Longest `tracestate` that is passed on, in bytes; the standard asks for no
// more.
inline constexpr size_t kMaxTraceStateSize = 512;

struct TraceParent {
  std::string trace_id;   // 32 lower-case hex digits, not all zero.
  std::string parent_id;  // 16 of them, not all zero: the caller's span.
  bool sampled = false;

  friend bool operator==(const TraceParent&, const TraceParent&) = default;
};

struct TraceContext {
  std::string trace_id;
  // 16 hex digits that are this call's own: its span, and its request id.
  std::string span_id;
  std::string parent_id;  // Empty if the trace begins with this call.
  bool sampled = false;
  std::string state;  // `tracestate` as it came; empty if there is none.
};

// Nothing unless `text` is a `traceparent`: version 00 in exactly its form; a
// later version if it begins with that form, as the standard asks. Version ff,
// ids of zeros and capital letters are invalid.
std::optional<TraceParent> ParseTraceParent(absl::string_view text);

// Whether `text` is a `tracestate` that may be passed on: at most 32 members
// key=value, and nothing but printable ASCII.
bool IsTraceState(absl::string_view text);

// The values of the two keys in a call's metadata, in their order; each may
// come more than once, or not at all.
struct TraceEvidence {
  std::vector<std::string> parents;
  std::vector<std::string> states;
};

// Unless there is exactly one `traceparent` and it is valid, a new trace
// begins, and the states are ignored. Several states are one list. `draw` gives
// 64 random bits.
TraceContext ContinueTrace(const TraceEvidence& evidence,
                           absl::FunctionRef<uint64_t()> draw);

// Whether a trace that begins here is among the `ratio` of traces that are
// recorded, in [0, 1]; by its id alone, as OpenTelemetry's samplers decide, so
// that whoever decides by the same ratio decides alike.
bool IsInTraceRatio(const std::string& trace_id, double ratio);

// The `traceparent` of whatever this call causes, which is also what its caller
// is told: the trace's id and this call's span.
std::string FormatTraceParent(const TraceContext& trace);

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_TRACE_CONTEXT_H_
