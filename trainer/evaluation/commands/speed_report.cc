#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "trainer/evaluation/commands/report_json.h"
#include "trainer/evaluation/commands/speed_command.h"

namespace ddgan {

std::string SpeedTable(const SpeedReport& report) {
  std::string table;
  const auto row = [&](const std::string& name, const std::string& value) {
    absl::StrAppendFormat(&table, "%-22s %s\n", name, value);
  };
  row("model", absl::StrCat(report.model,
                            report.random_weights ? ", random weights" : ""));
  row("parameters", absl::StrCat(report.parameters));
  row("sampler",
      absl::StrCat(report.sampler, ", ", EvaluationsText(report.evaluations),
                   " per image"));
  row("device", report.device == "cpu"
                    ? absl::StrCat("cpu, ", report.threads, " threads")
                    : report.device);
  for (const BatchTime& time : report.times) {
    row(absl::StrCat("batch of ", time.batch),
        absl::StrFormat("%.4f s +- %.4f (mean of %d), %.2f images/s",
                        time.seconds, time.stddev, time.repeats,
                        time.batch / time.seconds));
  }
  if (IsEstimated(report)) {
    absl::StrAppend(&table, "Estimated: ", report.timed_evaluations, " of ",
                    report.evaluations, " evaluations were timed.\n");
  }
  return table;
}

std::string SpeedJson(const SpeedReport& report) {
  nlohmann::ordered_json json;
  json["evaluation"] = "speed";
  json["model"] = report.model;
  json["random_weights"] = report.random_weights;
  json["sampler"] = report.sampler;
  json["evaluations"] = report.evaluations;
  json["timed_evaluations"] = report.timed_evaluations;
  json["estimated"] = IsEstimated(report);
  json["parameters"] = report.parameters;
  json["device"] = report.device;
  json["threads"] = report.threads;
  json["times"] = nlohmann::ordered_json::array();
  for (const BatchTime& time : report.times) {
    nlohmann::ordered_json entry;
    entry["batch"] = time.batch;
    entry["repeats"] = time.repeats;
    entry["seconds"] = time.seconds;
    entry["seconds_stddev"] = time.stddev;
    entry["images_per_second"] = time.batch / time.seconds;
    json["times"].push_back(entry);
  }
  return JsonLine(json);
}

}  // namespace ddgan
