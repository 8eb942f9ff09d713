#include "server/telemetry/access_log.h"

#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AccessRecord Generated() {
  AccessRecord record;
  record.trace = {.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                  .span_id = "00f067aa0ba902b7",
                  .parent_id = "b7ad6b7169203331",
                  .sampled = true,
                  .state = "vendor=1"};
  record.method = "Generate";
  record.caller = "gold";
  record.model = "digits";
  record.version = 3;
  record.count = 4;
  record.seed = std::numeric_limits<uint64_t>::max();
  record.queue = absl::Milliseconds(3);
  record.steps = absl::Milliseconds(40);
  record.encode = absl::Microseconds(12);
  record.total = absl::Seconds(1);
  record.reply_bytes = 1234;
  return record;
}

TEST(AccessLogTest, TellsACallAsText) {
  EXPECT_EQ(FormatAccess(Generated(), LogFormat::kText),
            "access request_id=00f067aa0ba902b7 "
            "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 "
            "parent_id=b7ad6b7169203331 caller=gold method=Generate "
            "model=digits version=3 count=4 seed=18446744073709551615 code=OK "
            "queue_s=0.003000 steps_s=0.040000 encode_s=0.000012 "
            "total_s=1.000000 reply_bytes=1234");
}

TEST(AccessLogTest, TellsACallAsJson) {
  EXPECT_EQ(nlohmann::json::parse(FormatAccess(Generated(), LogFormat::kJson)),
            (nlohmann::json{{"event", "call"},
                            {"request_id", "00f067aa0ba902b7"},
                            {"trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"},
                            {"parent_id", "b7ad6b7169203331"},
                            {"caller", "gold"},
                            {"method", "Generate"},
                            {"model", "digits"},
                            {"version", 3},
                            {"count", 4},
                            {"seed", "18446744073709551615"},
                            {"code", "OK"},
                            {"queue_s", 0.003},
                            {"steps_s", 0.04},
                            {"encode_s", 0.000012},
                            {"total_s", 1.0},
                            {"reply_bytes", 1234}}));
}

TEST(AccessLogTest, LeavesOutWhatWasNeverKnown) {
  AccessRecord record;
  record.method = "ListModels";
  record.status = absl::InvalidArgumentError("count: 65");
  EXPECT_EQ(FormatAccess(record, LogFormat::kText),
            "access method=ListModels code=INVALID_ARGUMENT error=\"count: "
            "65\" total_s=0.000000 reply_bytes=0");
}

TEST(AccessLogTest, NoValueCanPassForAnotherField) {
  const std::string hostile("x\" code=OK\n{\"level\":\"info\"}\x1b]0;\xff\\",
                            33);
  AccessRecord record = Generated();
  record.caller = "two words=";
  record.model = hostile;
  record.status = absl::NotFoundError(hostile);
  const std::string text = FormatAccess(record, LogFormat::kText);
  EXPECT_THAT(text, HasSubstr("caller=\"two words=\" "));
  EXPECT_THAT(text, HasSubstr("model=\"x\\\" code=OK\\n{"));
  const std::string json = FormatAccess(record, LogFormat::kJson);
  const auto object = nlohmann::json::parse(json);
  EXPECT_EQ(object["code"], "NOT_FOUND");
  EXPECT_EQ(object.size(), 17u);
  for (const std::string& line : {text, json}) {
    for (const char c : line) EXPECT_TRUE(c >= 0x20 && c <= 0x7e) << line;
  }
}

TEST(AccessLogTest, CutsNamesAndMessages) {
  AccessRecord record;
  record.model = std::string(100000, 'm');
  record.status = absl::InternalError(std::string(100000, 'e') + " ");
  for (LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    EXPECT_LT(FormatAccess(record, format).size(), 700u);
  }
}

class AccessLogWriterTest : public ::testing::Test {
 protected:
  ~AccessLogWriterTest() override { spdlog::set_default_logger(before_); }

  void LogTo(spdlog::sink_ptr sink) {
    auto logger = std::make_shared<spdlog::logger>("test", std::move(sink));
    logger->set_level(spdlog::level::err);  // Access lines are not ranked.
    spdlog::set_default_logger(std::move(logger));
  }

  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST_F(AccessLogWriterTest, WritesTheCallsThatItsLevelAsksFor) {
  for (const auto& [level, ok_lines, error_lines] :
       {std::tuple(AccessLogLevel::kNone, 0, 0),
        std::tuple(AccessLogLevel::kErrors, 0, 1),
        std::tuple(AccessLogLevel::kAll, 1, 1)}) {
    std::ostringstream out;
    LogTo(std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
    {
      AccessLog log(level, LogFormat::kText, [](int) { FAIL(); });
      AccessRecord record = Generated();
      log.Write(record);
      record.status = absl::CancelledError("the caller cancelled");
      log.Write(record);
    }
    const std::vector<std::string> lines =
        absl::StrSplit(out.str(), '\n', absl::SkipEmpty());
    EXPECT_EQ(lines.size(), ok_lines + error_lines);
    EXPECT_EQ(out.str().find("code=OK") != std::string::npos, ok_lines > 0);
    EXPECT_EQ(out.str().find("code=CANCELLED") != std::string::npos,
              error_lines > 0);
  }
}

// A log that nobody reads: it takes no line before it is told to.
class StalledSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  absl::Notification resume;
  int lines = 0;

 private:
  void sink_it_(const spdlog::details::log_msg&) override {
    resume.WaitForNotification();
    ++lines;
  }
  void flush_() override {}
};

TEST_F(AccessLogWriterTest, ALogThatNobodyReadsHoldsUpNoCallAndIsCounted) {
  const auto sink = std::make_shared<StalledSink>();
  LogTo(sink);
  constexpr int kLines = 10000;
  int lost = 0;
  {
    AccessLog log(AccessLogLevel::kAll, LogFormat::kText,
                  [&lost](int count) { lost += count; });
    for (int i = 0; i < kLines; ++i) log.Write(Generated());
    sink->resume.Notify();
  }
  EXPECT_GT(lost, 0);
  EXPECT_EQ(sink->lines + lost, kLines);
}

}  // namespace
}  // namespace ddgan
