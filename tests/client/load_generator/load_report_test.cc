#include "client/load_generator/load_report.h"

#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LoadReport OneOfEverything() {
  LoadReport report;
  report.server = "localhost:50051";
  report.options.rate = 12.5;
  report.options.warmup = absl::Seconds(5);
  report.options.duration = absl::Seconds(60);
  report.options.request.set_model("mnist");
  report.options.request.set_format(v1::OUTPUT_FORMAT_RAW8);
  report.standalone = {{1, absl::Milliseconds(12)}, {16, absl::Seconds(0.125)}};
  report.measured = absl::Seconds(60);
  report.drain = absl::Milliseconds(250);
  report.calls.scheduled = 760;
  report.calls.ok = 700;
  report.calls.refused = 30;
  report.calls.failed = 12;
  report.calls.cancelled = 10;
  report.calls.unanswered = 5;
  report.calls.unsent = 3;
  report.errors = {{"RESOURCE_EXHAUSTED", 30}, {"UNAVAILABLE", 12}};
  report.versions = {{3, 600}, {4, 100}};
  LatencyRow all;
  all.group = "all";
  all.calls = 700;
  all.p50 = absl::Milliseconds(20);
  all.p90 = absl::Milliseconds(40.5);
  all.p99 = absl::Milliseconds(99.96);
  all.p999 = absl::Seconds(1.5);
  all.max = absl::Seconds(12.25);
  all.within_3x = 0.875;
  LatencyRow none;
  none.group = "count 32-63";
  none.within_3x = 0.0;
  LatencyRow refused;
  refused.group = "refused";
  refused.calls = 30;
  refused.p50 = refused.p90 = refused.p99 = absl::Milliseconds(0.5);
  refused.p999 = refused.max = absl::Milliseconds(0.75);
  report.latencies = {all, none, refused};
  report.sent_late = 2;
  report.max_send_delay = absl::Milliseconds(15);
  report.calls_per_second = 11.5;
  report.images_per_second = 46.25;
  WindowRow window;
  window.scheduled = 13;
  window.ok = 11;
  window.refused = 1;
  window.images = 44;
  window.p50 = absl::Milliseconds(20);
  window.p99 = absl::Milliseconds(31);
  report.windows = {window, WindowRow()};
  report.verify = VerifyResult{40, 1, {"version 3, seed 7, index 12"}};
  return report;
}

TEST(LoadReportTest, IsATableForPeople) {
  const std::string text = ReportText(OneOfEverything());
  EXPECT_EQ(text, R"(server       localhost:50051
load         open loop of 12.5 calls/s, 60.0 s after 5.0 s of warm-up, seed 1
stand-alone  12.0 ms for 1 image
stand-alone  125.0 ms for 16 images
measured     60.0 s, the last reply 0.2 s later
calls        760
  ok         700 (92.1%)
  refused    30 (3.9%)
  failed     12 (1.6%)
  cancelled  10 (1.3%)
  unanswered 5 (0.7%)
  unsent     3 (0.4%)
error        30 RESOURCE_EXHAUSTED
error        12 UNAVAILABLE
version      3, 600 calls
version      4, 100 calls
rate         11.5 calls/s, 46.2 images/s
sent late    2 calls by more than 10.0 ms, at most 15.0 ms
verified     40 images made again, 1 with other bytes
  differs    version 3, seed 7, index 12

LATENCY (ms)   CALLS      P50      P90      P99    P99.9      MAX  WITHIN 3X
all              700     20.0     40.5    100.0   1500.0  12250.0      87.5%
count 32-63        0        -        -        -        -        -       0.0%
refused           30      0.5      0.5      0.5      0.8      0.8          -
)");
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(LoadReportTest, LeavesOutWhatDidNotHappen) {
  LoadReport report;
  report.server = "s";
  report.options.concurrency = 8;
  report.options.calls = 100;
  report.calls.scheduled = 100;
  report.calls.ok = 100;
  const std::string text = ReportText(report);
  EXPECT_THAT(text, HasSubstr("closed loop of 8 callers, 100 calls after "));
  EXPECT_THAT(text,
              HasSubstr("calls        100\n  ok         100 (100.0%)\nrate"));
  for (const std::string absent :
       {"error", "version", "sent late", "verified", "stand-alone"}) {
    EXPECT_THAT(text, Not(HasSubstr(absent)));
  }
}

TEST(LoadReportTest, IsJsonForPrograms) {
  EXPECT_EQ(ReportJson(OneOfEverything()), R"({
  "server": "localhost:50051",
  "load": {
    "rate": 12.5,
    "duration": 60.0,
    "warmup": 5.0,
    "seed": 1,
    "model": "mnist",
    "format": "raw8"
  },
  "standalone": {
    "1": 0.012,
    "16": 0.125
  },
  "measured": 60.0,
  "drain": 0.25,
  "calls": {
    "scheduled": 760,
    "ok": 700,
    "refused": 30,
    "failed": 12,
    "cancelled": 10,
    "unanswered": 5,
    "unsent": 3
  },
  "errors": {
    "RESOURCE_EXHAUSTED": 30,
    "UNAVAILABLE": 12
  },
  "versions": {
    "3": 600,
    "4": 100
  },
  "calls_per_second": 11.5,
  "images_per_second": 46.25,
  "sent_late": 2,
  "max_send_delay": 0.015,
  "latency": {
    "all": {
      "calls": 700,
      "p50": 0.02,
      "p90": 0.0405,
      "p99": 0.09996,
      "p99.9": 1.5,
      "max": 12.25,
      "within_3x": 0.875
    },
    "count 32-63": {
      "calls": 0,
      "p50": null,
      "p90": null,
      "p99": null,
      "p99.9": null,
      "max": null,
      "within_3x": 0.0
    },
    "refused": {
      "calls": 30,
      "p50": 0.0005,
      "p90": 0.0005,
      "p99": 0.0005,
      "p99.9": 0.00075,
      "max": 0.00075,
      "within_3x": null
    }
  },
  "verify": {
    "compared": 40,
    "mismatches": 1,
    "examples": [
      "version 3, seed 7, index 12"
    ]
  },
  "windows": [
    {
      "scheduled": 13,
      "ok": 11,
      "refused": 1,
      "failed": 0,
      "cancelled": 0,
      "unsent": 0,
      "images": 44,
      "p50": 0.02,
      "p99": 0.031
    },
    {
      "scheduled": 0,
      "ok": 0,
      "refused": 0,
      "failed": 0,
      "cancelled": 0,
      "unsent": 0,
      "images": 0,
      "p50": null,
      "p99": null
    }
  ]
}
)");
}

TEST(LoadReportTest, IsJsonWhateverTheNamesAre) {
  LoadReport report;
  report.server = "a\"b\xff";
  EXPECT_THAT(ReportJson(report), HasSubstr(R"("server": "a\"b)"));
}

}  // namespace
}  // namespace ddgan
