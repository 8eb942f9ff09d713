#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "trainer/evaluation/commands/report_json.h"
#include "trainer/evaluation/commands/trilemma_command.h"

namespace ddgan {

std::string TrilemmaTable(const TrilemmaReport& report) {
  const QualityReport& shared = report.rows.front().quality;
  const SpeedReport& speed = report.rows.front().speed;
  size_t width = 5;
  for (const TrilemmaRow& row : report.rows) {
    width = std::max(width, row.name.size());
  }
  const int name_width = static_cast<int>(std::min<size_t>(width, 40));
  std::string table;
  absl::StrAppendFormat(
      &table,
      "%d pictures of seed %d through %s against %d of %s; %s, k %d (%s)\n",
      shared.samples, shared.seed, CodingName(shared.through),
      shared.data_samples, shared.dataset, shared.features, shared.k,
      shared.strict ? "<" : "<=");
  if (!shared.data_choice.empty()) {
    absl::StrAppend(&table, shared.dataset, ": ", shared.data_choice, "\n");
  }
  absl::StrAppend(&table, "features' digest ", shared.features_digest, "\n");
  absl::StrAppendFormat(&table, "%s is %s; s/100: seconds for 100 images, %s\n",
                        "FD", shared.fd_name,
                        speed.device == "cpu"
                            ? absl::StrCat(speed.threads, " threads of a CPU")
                            : speed.device);
  absl::StrAppendFormat(&table, "%-*s %-10s %5s %9s %9s %6s %6s %7s %6s %6s\n",
                        name_width, "model", "sampler", "evals", "s/100", "FD",
                        "prec.", "recall", "density", "cover.", "KL");
  bool estimated = false;
  for (const TrilemmaRow& row : report.rows) {
    const NeighbourMetrics& neighbours = row.quality.neighbours;
    const bool mark = IsEstimated(row.speed);
    estimated |= mark;
    absl::StrAppendFormat(
        &table, "%-*s %-10s %5d %9s %9.3f %6.3f %6.3f %7.3f %6.3f %6s\n",
        name_width, row.name, row.speed.sampler, row.speed.evaluations,
        absl::StrFormat("%s%.2f", mark ? "~" : "",
                        row.speed.times.front().seconds),
        row.quality.fd, neighbours.precision, neighbours.recall,
        neighbours.density, neighbours.coverage,
        row.kl.has_value() ? absl::StrFormat("%.4f", *row.kl) : "-");
  }
  if (estimated) {
    absl::StrAppend(&table,
                    "~: some evaluations were timed, and multiplied.\n");
  }
  return table;
}

std::string TrilemmaJson(const TrilemmaReport& report) {
  const QualityReport& shared = report.rows.front().quality;
  nlohmann::ordered_json json;
  json["evaluation"] = "trilemma";
  json["data"] = shared.dataset;
  json["data_choice"] = shared.data_choice;
  json["data_samples"] = shared.data_samples;
  json["features"] = {{"name", shared.features},
                      {"digest", shared.features_digest}};
  json["fd_name"] = shared.fd_name;
  json["samples"] = shared.samples;
  json["k"] = shared.k;
  json["strict"] = shared.strict;
  json["through"] = CodingName(shared.through);
  json["seed"] = shared.seed;
  json["device"] = report.rows.front().speed.device;
  json["threads"] = report.rows.front().speed.threads;
  json["rows"] = nlohmann::ordered_json::array();
  for (const TrilemmaRow& row : report.rows) {
    nlohmann::ordered_json entry;
    entry["name"] = row.name;
    entry["digest"] = row.digest;
    entry["sampler"] = row.speed.sampler;
    entry["evaluations"] = row.speed.evaluations;
    entry["seconds_per_100_images"] = row.speed.times.front().seconds;
    entry["seconds_per_100_images_stddev"] = row.speed.times.front().stddev;
    entry["timing_estimated"] = IsEstimated(row.speed);
    entry["fd"] = row.quality.fd;
    entry["kid"] = row.quality.kid.mean;
    entry["is"] = nullptr;
    entry["is_splits"] = nullptr;
    if (row.quality.inception.has_value()) {
      entry["is"] = row.quality.inception->mean;
      entry["is_splits"] = row.quality.inception->splits;
    }
    entry["precision"] = row.quality.neighbours.precision;
    entry["recall"] = row.quality.neighbours.recall;
    entry["density"] = row.quality.neighbours.density;
    entry["coverage"] = row.quality.neighbours.coverage;
    entry["kl"] = nullptr;
    if (row.kl.has_value()) entry["kl"] = *row.kl;
    entry["modes_covered"] = nullptr;
    if (row.modes_covered.has_value()) {
      entry["modes_covered"] = *row.modes_covered;
    }
    entry["samples"] = row.quality.samples;
    json["rows"].push_back(entry);
  }
  return JsonLine(json);
}

}  // namespace ddgan
