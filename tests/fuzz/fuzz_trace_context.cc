// traceparent and tracestate of a call's metadata: each line is one of the
// first or, behind a '=', one of the second.
#include <algorithm>

#include "server/access/trace_context.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

// Each 'h' stands for a lower-case hexadecimal digit.
constexpr std::string_view kForm =
    "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";

bool HasForm(std::string_view text, std::string_view form) {
  return text.size() == form.size() &&
         std::equal(text.begin(), text.end(), form.begin(), [](char c, char f) {
           const bool is_digit =
               (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           return f == 'h' ? is_digit : c == f;
         });
}

bool IsId(std::string_view id, size_t size) {
  return HasForm(id, std::string(size, 'h')) &&
         id.find_first_not_of('0') != std::string_view::npos;
}

bool IsTraceParent(std::string_view text) {
  if (!HasForm(text.substr(0, kForm.size()), kForm) ||
      text.substr(0, 2) == "ff" || !IsId(text.substr(3, 32), 32) ||
      !IsId(text.substr(36, 16), 16)) {
    return false;
  }
  return text.size() == kForm.size() ||
         (text.substr(0, 2) != "00" && text[kForm.size()] == '-');
}

void Check(const TraceEvidence& evidence) {
  uint64_t drawn = 0;
  const TraceContext trace =
      ContinueTrace(evidence, [&drawn] { return drawn++; });
  Require(IsId(trace.trace_id, 32) && IsId(trace.span_id, 16), "ids are ids");
  const bool continues =
      evidence.parents.size() == 1 && IsTraceParent(evidence.parents[0]);
  Require(continues == !trace.parent_id.empty(),
          "a trace goes on from just one valid traceparent");
  if (continues) {
    const std::string& parent = evidence.parents[0];
    Require(trace.trace_id == parent.substr(3, 32) &&
                trace.parent_id == parent.substr(36, 16),
            "the ids are the caller's");
  }
  Require(continues || (!trace.sampled && trace.state.empty()),
          "a new trace has nothing of another");
  Require(trace.state.size() <= kMaxTraceStateSize &&
              std::all_of(trace.state.begin(), trace.state.end(),
                          [](char c) { return c >= 0x20 && c <= 0x7e; }),
          "a state that is passed on is short and printable");
  const std::optional<TraceParent> next =
      ParseTraceParent(FormatTraceParent(trace));
  Require(next.has_value() && next->trace_id == trace.trace_id &&
              next->parent_id == trace.span_id &&
              next->sampled == trace.sampled,
          "what is told of a trace is a traceparent");
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::InputReader input(data, size);
  ddgan::TraceEvidence evidence;
  while (!input.empty()) {
    const std::string_view line = input.Until('\n');
    if (line.substr(0, 1) == "=") {
      evidence.states.emplace_back(line.substr(1));
    } else {
      evidence.parents.emplace_back(line);
    }
  }
  ddgan::Check(evidence);
  return 0;
}
