#include "client/load_generator/load_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/format_name.h"

namespace ddgan {
namespace {

using Json = nlohmann::ordered_json;

std::string Seconds(absl::Duration time) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(time));
}

// Without the unit, for the table.
std::string Milliseconds(absl::Duration time) {
  return absl::StrFormat("%.1f", absl::ToDoubleMilliseconds(time));
}

std::string Load(const LoadOptions& options) {
  const std::string load =
      options.concurrency > 0
          ? absl::StrCat("closed loop of ", options.concurrency, " callers")
          : absl::StrCat("open loop of ", options.rate, " calls/s");
  return options.calls > 0
             ? absl::StrCat(load, ", ", options.calls, " calls")
             : absl::StrCat(load, ", ", Seconds(options.duration));
}

void AppendLine(std::string* text, const char* name, const std::string& value) {
  absl::StrAppendFormat(text, "%-13s%s\n", name, value);
}

// Leaves out what did not happen.
void AppendCalls(std::string* text, const CallCounts& calls) {
  AppendLine(text, "calls", absl::StrCat(calls.scheduled));
  const auto append = [&](const char* name, uint64_t number) {
    if (number == 0) return;
    const double share =
        static_cast<double>(number) / static_cast<double>(calls.scheduled);
    AppendLine(text, name, absl::StrFormat("%d (%.1f%%)", number, 100 * share));
  };
  append("  ok", calls.ok);
  append("  refused", calls.refused);
  append("  failed", calls.failed);
  append("  cancelled", calls.cancelled);
  append("  unanswered", calls.unanswered);
  append("  unsent", calls.unsent);
}

std::string TableLine(const LatencyRow& row) {
  std::string line = absl::StrFormat("%-13s%7d", row.group, row.calls);
  for (const absl::Duration latency :
       {row.p50, row.p90, row.p99, row.p999, row.max}) {
    absl::StrAppendFormat(&line, " %8s",
                          row.calls > 0 ? Milliseconds(latency) : "-");
  }
  absl::StrAppendFormat(&line, " %10s\n",
                        row.within_3x.has_value()
                            ? absl::StrFormat("%.1f%%", 100 * *row.within_3x)
                            : "-");
  return line;
}

Json SecondsOrNull(absl::Duration time, uint64_t calls) {
  return calls > 0 ? Json(absl::ToDoubleSeconds(time)) : Json(nullptr);
}

template <typename Map>
Json ByName(const Map& numbers) {
  Json object = Json::object();
  for (const auto& [name, number] : numbers) {
    object[absl::StrCat(name)] = number;
  }
  return object;
}

Json ToJson(const LoadOptions& options) {
  Json json;
  if (options.concurrency > 0) json["concurrency"] = options.concurrency;
  if (options.rate > 0.0) json["rate"] = options.rate;
  if (options.calls > 0) {
    json["calls"] = options.calls;
  } else {
    json["duration"] = absl::ToDoubleSeconds(options.duration);
  }
  json["warmup"] = absl::ToDoubleSeconds(options.warmup);
  json["seed"] = options.seed;
  json["model"] = options.request.model();
  json["format"] = FormatName(options.request.format());
  return json;
}

Json ToJson(const CallCounts& calls) {
  return {{"scheduled", calls.scheduled}, {"ok", calls.ok},
          {"refused", calls.refused},     {"failed", calls.failed},
          {"cancelled", calls.cancelled}, {"unanswered", calls.unanswered},
          {"unsent", calls.unsent}};
}

Json ToJson(const LatencyRow& row) {
  return {{"calls", row.calls},
          {"p50", SecondsOrNull(row.p50, row.calls)},
          {"p90", SecondsOrNull(row.p90, row.calls)},
          {"p99", SecondsOrNull(row.p99, row.calls)},
          {"p99.9", SecondsOrNull(row.p999, row.calls)},
          {"max", SecondsOrNull(row.max, row.calls)},
          {"within_3x",
           row.within_3x.has_value() ? Json(*row.within_3x) : Json(nullptr)}};
}

Json ToJson(const WindowRow& row) {
  return {{"scheduled", row.scheduled},
          {"ok", row.ok},
          {"refused", row.refused},
          {"failed", row.failed},
          {"cancelled", row.cancelled},
          {"unsent", row.unsent},
          {"images", row.images},
          {"p50", SecondsOrNull(row.p50, row.ok)},
          {"p99", SecondsOrNull(row.p99, row.ok)}};
}

}  // namespace

std::string ReportText(const LoadReport& report) {
  const LoadOptions& options = report.options;
  std::string text;
  AppendLine(&text, "server", report.server);
  AppendLine(&text, "load",
             absl::StrCat(Load(options), " after ", Seconds(options.warmup),
                          " of warm-up, seed ", options.seed));
  for (const auto& [count, latency] : report.standalone) {
    AppendLine(&text, "stand-alone",
               absl::StrCat(Milliseconds(latency), " ms for ", count,
                            count == 1 ? " image" : " images"));
  }
  AppendLine(&text, "measured",
             absl::StrCat(Seconds(report.measured), ", the last reply ",
                          Seconds(report.drain), " later"));
  AppendCalls(&text, report.calls);
  for (const auto& [code, calls] : report.errors) {
    AppendLine(&text, "error", absl::StrCat(calls, " ", code));
  }
  for (const auto& [version, calls] : report.versions) {
    AppendLine(&text, "version", absl::StrCat(version, ", ", calls, " calls"));
  }
  AppendLine(
      &text, "rate",
      absl::StrFormat("%.1f calls/s, %.1f images/s", report.calls_per_second,
                      report.images_per_second));
  if (report.sent_late > 0) {
    AppendLine(&text, "sent late",
               absl::StrCat(report.sent_late, " calls by more than ",
                            Milliseconds(kSentLate), " ms, at most ",
                            Milliseconds(report.max_send_delay), " ms"));
  }
  if (report.verify.has_value()) {
    AppendLine(&text, "verified",
               absl::StrCat(report.verify->compared, " images made again, ",
                            report.verify->mismatches, " with other bytes"));
    for (const std::string& example : report.verify->examples) {
      AppendLine(&text, "  differs", example);
    }
  }
  absl::StrAppendFormat(&text, "\n%-13s%7s %8s %8s %8s %8s %8s %10s\n",
                        "LATENCY (ms)", "CALLS", "P50", "P90", "P99", "P99.9",
                        "MAX", "WITHIN 3X");
  for (const LatencyRow& row : report.latencies) {
    absl::StrAppend(&text, TableLine(row));
  }
  return text;
}

std::string ReportJson(const LoadReport& report) {
  Json json;
  json["server"] = report.server;
  json["load"] = ToJson(report.options);
  Json standalone = Json::object();
  for (const auto& [count, latency] : report.standalone) {
    standalone[absl::StrCat(count)] = absl::ToDoubleSeconds(latency);
  }
  json["standalone"] = std::move(standalone);
  json["measured"] = absl::ToDoubleSeconds(report.measured);
  json["drain"] = absl::ToDoubleSeconds(report.drain);
  json["calls"] = ToJson(report.calls);
  json["errors"] = ByName(report.errors);
  json["versions"] = ByName(report.versions);
  json["calls_per_second"] = report.calls_per_second;
  json["images_per_second"] = report.images_per_second;
  json["sent_late"] = report.sent_late;
  json["max_send_delay"] = absl::ToDoubleSeconds(report.max_send_delay);
  Json latencies = Json::object();
  for (const LatencyRow& row : report.latencies) {
    latencies[row.group] = ToJson(row);
  }
  json["latency"] = std::move(latencies);
  if (report.verify.has_value()) {
    json["verify"] = {{"compared", report.verify->compared},
                      {"mismatches", report.verify->mismatches},
                      {"examples", report.verify->examples}};
  } else {
    json["verify"] = nullptr;
  }
  json["windows"] = Json::array();
  for (const WindowRow& row : report.windows) {
    json["windows"].push_back(ToJson(row));
  }
  // Bytes of a name that are not UTF-8 are replaced: a report is not lost over
  // them.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace ddgan
