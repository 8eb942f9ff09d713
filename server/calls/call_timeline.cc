#include "server/calls/call_timeline.h"

#include <utility>

#include "absl/strings/numbers.h"

namespace ddgan {

uint64_t TraceTagOf(const TraceContext& trace) {
  uint64_t tag = 0;
  // 16 hexadecimal digits always are one.
  (void)absl::SimpleHexAtoi(trace.span_id, &tag);
  return tag;
}

void CallTimer::Add(const CallPart& part) {
  absl::MutexLock lock(&mu_);
  AddLocked(part);
}

void CallTimer::AddLocked(const CallPart& part) {
  if (timeline_.parts.size() < kMaxParts) {
    timeline_.parts.push_back(part);
  } else {
    ++timeline_.parts_left_out;
  }
}

void CallTimer::BeginWrite(absl::Time now) {
  absl::MutexLock lock(&mu_);
  writing_since_ = now;
}

void CallTimer::EndWrite(absl::Time now) {
  absl::MutexLock lock(&mu_);
  const std::optional<absl::Time> start =
      std::exchange(writing_since_, std::nullopt);
  if (!start.has_value()) return;
  AddLocked({.kind = CallPart::Kind::kWrite, .start = *start, .end = now});
}

void CallTimer::SetRecord(AccessRecord record) {
  absl::MutexLock lock(&mu_);
  timeline_.record = std::move(record);
}

CallTimeline CallTimer::Finish(RpcMethod method, absl::Time arrived,
                               absl::Time ended) {
  absl::MutexLock lock(&mu_);
  timeline_.method = method;
  timeline_.arrived = arrived;
  timeline_.ended = ended;
  return std::move(timeline_);
}

}  // namespace ddgan
