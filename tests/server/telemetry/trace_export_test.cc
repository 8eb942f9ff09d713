#include "server/telemetry/trace_export.h"

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "engine/base/monotonic_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/silent_listener.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

// A port that nobody listens on, unless another process takes it meanwhile.
ListenAddress Nobody() { return {"127.0.0.1", 1}; }

TEST(TraceExportTest, RefusesWhatCannotBeACollector) {
  TraceOptions options;
  EXPECT_TRUE(CheckTraceOptions(options).ok());
  options.tls_ca = "ca.crt";
  EXPECT_THAT(std::string(CheckTraceOptions(options).message()),
              HasSubstr("needs --otlp_endpoint"));
  options.endpoint = {"collector", 4317};
  EXPECT_TRUE(CheckTraceOptions(options).ok());
  options.endpoint = {"collector", 0};
  EXPECT_THAT(std::string(CheckTraceOptions(options).message()),
              HasSubstr("[1, 65535]"));
  options.endpoint = {"::1", 4317};
  EXPECT_THAT(std::string(CheckTraceOptions(options).message()),
              HasSubstr("--otlp_endpoint=[::1]:4317"));
}

TEST(TraceExportTest, CallsHaveARatioOnlyIfThereIsACollector) {
  TraceOptions options;
  options.ratio = 0.25;
  EXPECT_EQ(options.CallRatio(), std::nullopt);
  options.endpoint = {"collector", 4317};
  EXPECT_EQ(options.CallRatio(), 0.25);
}

// Counts what becomes of spans.
class TraceExportRunTest : public ::testing::Test {
 protected:
  void Start(const ListenAddress& collector) {
    TraceOptions options;
    options.endpoint = collector;
    auto started = TraceExport::Start(
        options, [this](TraceExport::Result result, size_t count) {
          absl::MutexLock lock(&mu_);
          (result == TraceExport::Result::kExported    ? exported_
           : result == TraceExport::Result::kQueueFull ? queue_full_
                                                       : failed_) += count;
        });
    ASSERT_TRUE(started.ok()) << started.status();
    export_ = *std::move(started);
  }

  static std::vector<TraceSpan> Spans(size_t count) {
    std::vector<TraceSpan> spans(count);
    for (size_t i = 0; i < count; ++i) {
      spans[i].identity = {1, 2, i + 1};
      spans[i].name = "step";
      spans[i].start = spans[i].end = absl::UnixEpoch();
    }
    return spans;
  }

  absl::Mutex mu_;
  size_t exported_ ABSL_GUARDED_BY(mu_) = 0;
  size_t queue_full_ ABSL_GUARDED_BY(mu_) = 0;
  size_t failed_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<TraceExport> export_;
};

TEST_F(TraceExportRunTest, SpansForACollectorThatIsNotThereFail) {
  Start(Nobody());
  export_->Add(Spans(3));
  {
    absl::MutexLock lock(&mu_);
    const auto failed = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return failed_ == 3;
    };
    mu_.Await(absl::Condition(&failed));
  }
  export_->Add(Spans(2));
  export_.reset();
  absl::MutexLock lock(&mu_);
  EXPECT_EQ(failed_, 5u);
  EXPECT_EQ(exported_, 0u);
}

TEST_F(TraceExportRunTest, ACollectorThatHangsHoldsUpNeitherSpansNorTheEnd) {
  SilentListener collector;
  Start(collector.address());
  const size_t more = 100;
  // In part taken by the exporting thread, which then waits.
  for (size_t sent = 0; sent < 2 * TraceExport::kMaxWaiting; sent += more) {
    export_->Add(Spans(more));
  }
  {
    absl::MutexLock lock(&mu_);
    EXPECT_GT(queue_full_, 0u);
  }
  const absl::Time start = RealMonotonicClock()->Now();
  export_.reset();
  // Without a bound: 16 batches, each for as long as kTimeout.
  EXPECT_LT(RealMonotonicClock()->Now() - start, absl::Seconds(40));
  absl::MutexLock lock(&mu_);
  EXPECT_EQ(exported_, 0u);
  const size_t all = (2 * TraceExport::kMaxWaiting + more - 1) / more * more;
  EXPECT_EQ(queue_full_ + failed_, all);
}

TEST(TraceExportTest, AnAuthorityThatCannotBeReadIsRefusedByItsFlag) {
  const TemporaryFolder folder;
  TraceOptions options;
  options.endpoint = Nobody();
  const auto ignore = [](TraceExport::Result, size_t) {};
  options.tls_ca = folder.path() / "none";
  absl::Status status = TraceExport::Start(options, ignore).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("--otlp_tls_ca"));
  options.tls_ca = folder.path() / "empty";
  std::ofstream(options.tls_ca).flush();
  status = TraceExport::Start(options, ignore).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is empty"));
}

TEST(TraceExportTest, HeadersThatGrpcWouldEndTheProcessForAreRefused) {
  TraceOptions options;
  options.endpoint = Nobody();
  const auto ignore = [](TraceExport::Result, size_t) {};
  for (const auto& [headers, good] :
       {std::pair("Api-Key=secret,x=y", true), std::pair("a b=c", false),
        std::pair("key=\x07", false)}) {
    setenv("OTEL_EXPORTER_OTLP_HEADERS", headers, /*replace=*/1);
    const absl::Status status = TraceExport::Start(options, ignore).status();
    EXPECT_EQ(status.ok(), good) << headers << ": " << status;
    if (!good) {
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"));
    }
  }
  unsetenv("OTEL_EXPORTER_OTLP_HEADERS");
}

}  // namespace
}  // namespace ddgan
