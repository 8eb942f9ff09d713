#include "server/telemetry/log_format.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "spdlog/common.h"
#include "spdlog/details/log_msg.h"

namespace ddgan {
namespace {

absl::string_view ToView(spdlog::string_view_t text) {
  return absl::string_view(text.data(), text.size());
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(LogFormat format) : format_(format) {}

  void format(const spdlog::details::log_msg& message,
              spdlog::memory_buf_t& line) override {
    const std::string time =
        absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromChrono(message.time),
                         absl::UTCTimeZone());
    const absl::string_view level =
        ToView(spdlog::level::to_string_view(message.level));
    const absl::string_view text = ToView(message.payload);
    const bool is_complete = ToView(message.logger_name) == kAccessLogger;
    std::string out;
    if (format_ == LogFormat::kText) {
      out = absl::StrCat(time, " ", level, " ",
                         is_complete ? std::string(text) : EscapeForText(text),
                         "\n");
    } else {
      out = absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", level, "\",");
      if (is_complete) {
        absl::StrAppend(&out, text.substr(1), "\n");
      } else {
        absl::StrAppend(&out, "\"message\":", QuoteForJson(text), "}\n");
      }
    }
    line.append(out.data(), out.data() + out.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  const LogFormat format_;
};

}  // namespace

std::unique_ptr<spdlog::formatter> MakeLogFormatter(LogFormat format) {
  return std::make_unique<LineFormatter>(format);
}

std::string EscapeForText(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte > 0x7e) {
      absl::StrAppend(&out, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      out += c;
    }
  }
  return out;
}

std::string QuoteForJson(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/true,
            nlohmann::json::error_handler_t::replace);
}

}  // namespace ddgan
