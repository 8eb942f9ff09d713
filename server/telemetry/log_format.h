// How a log message becomes a line: text for people, or one JSON object for
// machines. Whatever bytes a message has, it stays on one line and moves no
// terminal's cursor.
#ifndef DDGAN_SERVER_TELEMETRY_LOG_FORMAT_H_
#define DDGAN_SERVER_TELEMETRY_LOG_FORMAT_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "spdlog/formatter.h"

namespace ddgan {

enum class LogFormat { kText, kJson };

// Name of the logger whose messages are complete already: in kText the fields
// as they are to be read, in kJson an object, whose members take the place of
// "message".
inline constexpr char kAccessLogger[] = "access";

// kText:  2026-01-31T12:00:00.000Z info MESSAGE
// kJson:  {"time":"2026-01-31T12:00:00.000Z","level":"info","message":"..."}
// Thread-compatible, as every spdlog::formatter.
std::unique_ptr<spdlog::formatter> MakeLogFormatter(LogFormat format);

// `text` with everything but printable ASCII written as \n, \t or \xNN.
std::string EscapeForText(absl::string_view text);

// `text` as a JSON string, quotes included, in ASCII. Bytes that are no UTF-8
// become U+FFFD.
std::string QuoteForJson(absl::string_view text);

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_LOG_FORMAT_H_
