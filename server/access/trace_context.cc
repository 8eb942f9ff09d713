#include "server/access/trace_context.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace ddgan {
namespace {

// 00-<32 digits>-<16 digits>-<2 digits>
constexpr size_t kVersionSize = 2;
constexpr size_t kTraceIdAt = 3;
constexpr size_t kTraceIdSize = 32;
constexpr size_t kParentIdAt = 36;
constexpr size_t kParentIdSize = 16;
constexpr size_t kFlagsAt = 53;
constexpr size_t kFlagsSize = 2;
constexpr size_t kTraceParentSize = 55;

constexpr size_t kMaxTraceStateMembers = 32;
constexpr size_t kMaxTraceStateKeySize = 256;
constexpr size_t kMaxTraceStateValueSize = 256;

bool IsLowerHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsZeros(absl::string_view text) {
  return text.find_first_not_of('0') == absl::string_view::npos;
}

bool IsTraceStateKey(absl::string_view key) {
  return !key.empty() && key.size() <= kMaxTraceStateKeySize &&
         std::all_of(key.begin(), key.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
         });
}

bool IsTraceStateValue(absl::string_view value) {
  return !value.empty() && value.size() <= kMaxTraceStateValueSize &&
         value.back() != ' ' &&
         std::all_of(value.begin(), value.end(), [](char c) {
           return c >= 0x20 && c <= 0x7e && c != ',' && c != '=';
         });
}

// Random, and not all zeros, which no id may be.
std::string DrawId(absl::FunctionRef<uint64_t()> draw) {
  uint64_t bits = 0;
  while (bits == 0) bits = draw();
  return absl::StrCat(absl::Hex(bits, absl::kZeroPad16));
}

}  // namespace

std::optional<TraceParent> ParseTraceParent(absl::string_view text) {
  if (text.size() < kTraceParentSize) return std::nullopt;
  const absl::string_view version = text.substr(0, kVersionSize);
  const absl::string_view trace_id = text.substr(kTraceIdAt, kTraceIdSize);
  const absl::string_view parent_id = text.substr(kParentIdAt, kParentIdSize);
  const absl::string_view flags = text.substr(kFlagsAt, kFlagsSize);
  if (text[kTraceIdAt - 1] != '-' || text[kParentIdAt - 1] != '-' ||
      text[kFlagsAt - 1] != '-' || !IsLowerHex(version) || version == "ff" ||
      !IsLowerHex(trace_id) || IsZeros(trace_id) || !IsLowerHex(parent_id) ||
      IsZeros(parent_id) || !IsLowerHex(flags)) {
    return std::nullopt;
  }
  // Only later versions may say more.
  if (text.size() > kTraceParentSize &&
      (version == "00" || text[kTraceParentSize] != '-')) {
    return std::nullopt;
  }
  constexpr absl::string_view kOddDigits = "13579bdf";
  return TraceParent{
      .trace_id = std::string(trace_id),
      .parent_id = std::string(parent_id),
      .sampled = kOddDigits.find(flags.back()) != absl::string_view::npos};
}

bool IsTraceState(absl::string_view text) {
  if (text.empty() || text.size() > kMaxTraceStateSize) return false;
  const std::vector<absl::string_view> members = absl::StrSplit(text, ',');
  if (members.size() > kMaxTraceStateMembers) return false;
  for (absl::string_view member : members) {
    // Spaces and tabs around a member are nobody's.
    const size_t begin = member.find_first_not_of(" \t");
    if (begin == absl::string_view::npos) continue;  // Empty, as is allowed.
    member = member.substr(begin, member.find_last_not_of(" \t") - begin + 1);
    const size_t equals = member.find('=');
    if (equals == absl::string_view::npos ||
        !IsTraceStateKey(member.substr(0, equals)) ||
        !IsTraceStateValue(member.substr(equals + 1))) {
      return false;
    }
  }
  return text.find('\t') == absl::string_view::npos;
}

TraceContext ContinueTrace(const TraceEvidence& evidence,
                           absl::FunctionRef<uint64_t()> draw) {
  TraceContext trace;
  trace.span_id = DrawId(draw);
  std::optional<TraceParent> parent;
  if (evidence.parents.size() == 1) {
    parent = ParseTraceParent(evidence.parents.front());
  }
  if (!parent.has_value()) {
    trace.trace_id = DrawId(draw);
    trace.trace_id += DrawId(draw);
    return trace;
  }
  trace.trace_id = std::move(parent->trace_id);
  trace.parent_id = std::move(parent->parent_id);
  trace.sampled = parent->sampled;
  std::string state = absl::StrJoin(evidence.states, ",");
  if (IsTraceState(state)) trace.state = std::move(state);
  return trace;
}

bool IsInTraceRatio(const std::string& trace_id, double ratio) {
  // Of the last 56 bits, which OpenTelemetry takes for random.
  constexpr size_t kRandomDigits = 14;
  constexpr auto kValues = static_cast<double>(uint64_t{1} << 56);
  uint64_t value = 0;
  if (!absl::SimpleHexAtoi(trace_id.substr(kTraceIdSize - kRandomDigits),
                           &value)) {
    return false;
  }
  // Those at the upper end; at 1 the lowest value, 0, is among them. Compared
  // as integers: as a double, the highest value would round up to kValues, and
  // a ratio of 0 would have it in.
  return value >= static_cast<uint64_t>((1 - ratio) * kValues);
}

std::string FormatTraceParent(const TraceContext& trace) {
  return absl::StrCat("00-", trace.trace_id, "-", trace.span_id, "-",
                      trace.sampled ? "01" : "00");
}

}  // namespace ddgan
