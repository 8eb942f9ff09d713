// The spans of traced calls and of the batches that their images were in, made
// of what the rooms below announce: pure functions, and no OpenTelemetry. What
// each span and attribute means to an operator is in server/OPERATING.md.
#ifndef DDGAN_SERVER_TELEMETRY_CALL_SPANS_H_
#define DDGAN_SERVER_TELEMETRY_CALL_SPANS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "server/access/trace_context.h"
#include "server/calls/call_timeline.h"

namespace ddgan {

// A span within its trace. No part is 0.
struct SpanIdentity {
  uint64_t trace_high = 0;
  uint64_t trace_low = 0;
  uint64_t span = 0;

  friend bool operator==(const SpanIdentity&, const SpanIdentity&) = default;
};

struct TraceSpan {
  using Value = std::variant<int64_t, std::string, std::vector<int64_t>>;
  using Attributes = std::vector<std::pair<const char*, Value>>;

  // Texts are UTF-8.
  SpanIdentity identity;
  uint64_t parent = 0;  // 0: the trace begins with it.
  std::string state;    // `tracestate`
  std::string name;
  bool answers_a_call = false;  // OpenTelemetry's kind SERVER, else INTERNAL.
  absl::Time start;             // Of the day.
  absl::Time end;
  Attributes attributes;
  std::vector<SpanIdentity> links;
  absl::Status error;  // Not OK: the span's status is Error.
};

// One step of images of a call, as its trace shows it.
struct CallStep {
  SpanIdentity batch;  // The batch's own span.
  absl::Time start;    // By the engine's clock, as all times of a call.
  absl::Time end;
  std::string lane;
  int batch_size = 0;
  // Of the call's rows: the image's place in the request, and the step.
  std::vector<int64_t> positions;
  std::vector<int64_t> steps;
  absl::Status status;
};

// The steps of a call as far as they are kept: those of the first
// kMaxCallSteps batches.
inline constexpr size_t kMaxCallSteps = 512;
struct CallSteps {
  std::vector<CallStep> steps;
  int left_out = 0;
};

SpanIdentity IdentityOf(const TraceContext& trace);

// The call's own span first; the others are below it. `draw` gives random bits
// for their ids, and `to_wall_clock` is what the time of day is ahead of the
// clock of the call's times.
std::vector<TraceSpan> SpansOf(const CallTimeline& timeline,
                               const CallSteps& steps,
                               absl::Duration to_wall_clock,
                               absl::FunctionRef<uint64_t()> draw);

// The span of a whole batch, which is a trace of its own, with links to
// `calls`.
TraceSpan SpanOf(const TracedStep& step, const SpanIdentity& identity,
                 std::vector<SpanIdentity> calls, absl::Duration to_wall_clock);

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_CALL_SPANS_H_
