#include "server/telemetry/log_format.h"

#include <sstream>
#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "spdlog/details/log_msg.h"

namespace ddgan {
namespace {

std::string LineOf(LogFormat format, const std::string& text,
                   const char* logger = "ddgan") {
  spdlog::details::log_msg message(
      absl::ToChronoTime(absl::FromUnixMillis(1'700'000'000'250)),
      spdlog::source_loc(), logger, spdlog::level::warn, text);
  spdlog::memory_buf_t line;
  MakeLogFormatter(format)->clone()->format(message, line);
  return std::string(line.data(), line.size());
}

// Newlines, quotes, terminal commands, bytes that are no UTF-8, a zero.
std::string Hostile() {
  return std::string("a\n\"b\"\\ \x1b[2J\x9b\xff\r\t\xe2\x80\xae") + '\0' + "z";
}

TEST(LogFormatTest, WritesTextForPeople) {
  EXPECT_EQ(LineOf(LogFormat::kText, "model 'digits' is live"),
            "2023-11-14T22:13:20.250Z warning model 'digits' is live\n");
}

TEST(LogFormatTest, WritesOneJsonObjectALine) {
  EXPECT_EQ(LineOf(LogFormat::kJson, "model 'digits' is live"),
            "{\"time\":\"2023-11-14T22:13:20.250Z\",\"level\":\"warning\","
            "\"message\":\"model 'digits' is live\"}\n");
}

TEST(LogFormatTest, HostileBytesStayOnOneLineOfPrintableAscii) {
  for (LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line = LineOf(format, Hostile());
    ASSERT_EQ(line.find('\n'), line.size() - 1);
    for (const char c : line.substr(0, line.size() - 1)) {
      EXPECT_TRUE(c >= 0x20 && c <= 0x7e) << static_cast<int>(c);
    }
  }
  EXPECT_EQ(EscapeForText(Hostile()),
            "a\\n\"b\"\\ \\x1b[2J\\x9b\\xff\\x0d\\t\\xe2\\x80\\xae\\x00z");
  const auto object =
      nlohmann::json::parse(LineOf(LogFormat::kJson, Hostile()));
  const std::string message = object["message"];
  EXPECT_EQ(message.substr(0, 11), "a\n\"b\"\\ \x1b[2J");
  EXPECT_EQ(message.back(), 'z');
}

TEST(LogFormatTest, TakesAnAccessLineAsItIs) {
  EXPECT_EQ(LineOf(LogFormat::kText, "access code=OK", kAccessLogger),
            "2023-11-14T22:13:20.250Z warning access code=OK\n");
  EXPECT_EQ(LineOf(LogFormat::kJson, "{\"event\":\"call\"}", kAccessLogger),
            "{\"time\":\"2023-11-14T22:13:20.250Z\",\"level\":\"warning\","
            "\"event\":\"call\"}\n");
}

}  // namespace
}  // namespace ddgan
