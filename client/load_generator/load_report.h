// What a load run has found, for people and for programs. Pure.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_LOAD_REPORT_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_LOAD_REPORT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/load_generator/load_options.h"
#include "client/load_generator/reply_verifier.h"

namespace ddgan {

// Every call is in exactly one of the others beside `scheduled`.
struct CallCounts {
  uint64_t scheduled = 0;
  uint64_t ok = 0;
  // The server said no at once: RESOURCE_EXHAUSTED, or DEADLINE_EXCEEDED
  // before the deadline.
  uint64_t refused = 0;
  // Any other error.
  uint64_t failed = 0;
  // By the caller, as --cancel asks for.
  uint64_t cancelled = 0;
  // Given up after --timeout.
  uint64_t unanswered = 0;
  // Due while --max_outstanding calls had no reply.
  uint64_t unsent = 0;
};

// From when a call was due to its reply.
struct LatencyRow {
  std::string group;
  uint64_t calls = 0;
  // Zero if there are no calls.
  absl::Duration p50;
  absl::Duration p90;
  absl::Duration p99;
  absl::Duration p999;
  absl::Duration max;
  // OK within 3 times their stand-alone latency, as a share of the group's
  // calls that nobody cancelled; those that failed count as late. Unset if
  // there are none or it was not measured.
  std::optional<double> within_3x;
};

// One second. Calls by when they were due, the rest by when it came.
struct WindowRow {
  uint64_t scheduled = 0;
  uint64_t ok = 0;
  uint64_t refused = 0;
  uint64_t failed = 0;  // Without a reply in time, too.
  uint64_t cancelled = 0;
  uint64_t unsent = 0;
  uint64_t images = 0;
  // Of the `ok` ones. Zero if there are none.
  absl::Duration p50;
  absl::Duration p99;
};

struct LoadReport {
  std::string server;
  LoadOptions options;
  // Median latency of a call that is alone, by its count.
  std::map<uint32_t, absl::Duration> standalone;

  // The time measured, after warm-up, and how much later the last reply came.
  absl::Duration measured;
  absl::Duration drain;
  // Of the calls that were due in the measured time.
  CallCounts calls;
  std::map<std::string, uint64_t> errors;  // By gRPC code.
  std::map<int64_t, uint64_t> versions;    // OK calls by the model's version.
  // All, then by class and by count if the mix has several of them, then the
  // refused ones if there are any.
  std::vector<LatencyRow> latencies;
  // The load generator's own delays: calls that it sent more than kSentLate
  // after they were due, and the longest delay.
  uint64_t sent_late = 0;
  absl::Duration max_send_delay;

  // Replies that came in the measured time, those to calls of the warm-up among
  // them.
  double calls_per_second = 0.0;
  double images_per_second = 0.0;
  // From the end of the warm-up to the last reply, each second of it.
  std::vector<WindowRow> windows;

  std::optional<VerifyResult> verify;
};

inline constexpr absl::Duration kSentLate = absl::Milliseconds(10);

// A table of at most 80 columns.
std::string ReportText(const LoadReport& report);

// One object; times in seconds, null for what is unset.
std::string ReportJson(const LoadReport& report);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_LOAD_REPORT_H_
