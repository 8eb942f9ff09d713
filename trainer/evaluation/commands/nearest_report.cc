#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "trainer/evaluation/commands/nearest_command.h"
#include "trainer/evaluation/commands/report_json.h"

namespace ddgan {
namespace {

nlohmann::ordered_json SummaryJson(const DistanceSummary& summary) {
  nlohmann::ordered_json json;
  json["pictures"] = summary.pictures;
  json["lowest"] = summary.lowest;
  json["percent_1"] = summary.percent_1;
  json["median"] = summary.median;
  return json;
}

nlohmann::ordered_json SpaceJson(const SpaceReport& space) {
  nlohmann::ordered_json json;
  json["measured"] = SummaryJson(space.measured);
  json["test"] = nullptr;
  if (space.test.has_value()) json["test"] = SummaryJson(*space.test);
  json["suspicious_share"] = nullptr;
  if (space.suspicious_share.has_value()) {
    json["suspicious_share"] = *space.suspicious_share;
  }
  return json;
}

}  // namespace

DistanceSummary Summarise(std::vector<double> distances) {
  std::sort(distances.begin(), distances.end());
  DistanceSummary summary;
  summary.pictures = static_cast<int64_t>(distances.size());
  summary.lowest = distances.front();
  summary.percent_1 = distances[distances.size() / 100];
  summary.median = distances[distances.size() / 2];
  return summary;
}

SpaceReport CompareDistances(const std::vector<double>& measured,
                             const std::vector<double>& test) {
  SpaceReport report;
  report.measured = Summarise(measured);
  if (test.empty()) return report;
  report.test = Summarise(test);
  const double near = report.test->percent_1;
  if (near == 0) return report;
  report.suspicious_share =
      static_cast<double>(
          std::count_if(measured.begin(), measured.end(),
                        [near](double distance) { return distance < near; })) /
      static_cast<double>(measured.size());
  return report;
}

std::optional<bool> Copies(const NearestReport& report) {
  if (!report.in_features.suspicious_share.has_value() ||
      !report.in_pixels.suspicious_share.has_value()) {
    return std::nullopt;
  }
  return *report.in_features.suspicious_share > kCopyingShare &&
         *report.in_pixels.suspicious_share > kCopyingShare;
}

std::string NearestTable(const NearestReport& report) {
  std::string table;
  const auto row = [&](const std::string& name, const std::string& value) {
    absl::StrAppendFormat(&table, "%-22s %s\n", name, value);
  };
  if (report.version.has_value()) {
    row("model",
        absl::StrCat(report.version->identity.model, " version ",
                     report.version->identity.version, ", seed ", report.seed));
  } else {
    row("pictures", report.pictures);
  }
  row("real pictures",
      absl::StrCat(report.data_samples, " of ", report.dataset));
  if (!report.data_choice.empty()) row("  namely", report.data_choice);
  row("features", report.features);
  absl::StrAppend(&table, "  digest ", report.features_digest, "\n");
  absl::StrAppendFormat(&table, "%-22s %10s %10s %10s %10s\n",
                        "distance to nearest", "pictures", "lowest", "1 %",
                        "median");
  const auto distances = [&](const char* name, const DistanceSummary& summary) {
    absl::StrAppendFormat(&table, "%-22s %10d %10.4f %10.4f %10.4f\n", name,
                          summary.pictures, summary.lowest, summary.percent_1,
                          summary.median);
  };
  for (const auto& [name, space] : {std::pair("features", &report.in_features),
                                    std::pair("pixels", &report.in_pixels)}) {
    distances(absl::StrCat("  measured, ", name).c_str(), space->measured);
    if (space->test.has_value()) {
      distances(absl::StrCat("  test, ", name).c_str(), *space->test);
    }
  }
  const std::optional<bool> copies = Copies(report);
  if (copies.has_value()) {
    absl::StrAppendFormat(
        &table,
        "%.1f %% by features and %.1f %% by pixels are nearer to a real one "
        "than 99 %%\nof the test pictures are, where 1 %% would be chance: "
        "the model %s.\n",
        100 * *report.in_features.suspicious_share,
        100 * *report.in_pixels.suspicious_share,
        *copies ? "copies" : "does not copy");
  } else if (report.in_features.test.has_value()) {
    absl::StrAppend(&table,
                    "At least 1 % of the test pictures are among the real "
                    "ones: they do not say how\nnear is near.\n");
  } else {
    absl::StrAppend(&table,
                    "Without --test_data nothing says how near is near.\n");
  }
  row("grid", absl::StrCat(report.out, "/nearest.png"));
  return table;
}

std::string NearestJson(const NearestReport& report) {
  nlohmann::ordered_json json;
  json["evaluation"] = "nearest";
  AddVersion(report.version, &json);
  json["pictures"] = report.pictures;
  json["seed"] = report.seed;
  json["data"] = report.dataset;
  json["data_choice"] = report.data_choice;
  json["data_samples"] = report.data_samples;
  json["features"] = report.features;
  json["features_digest"] = report.features_digest;
  json["in_features"] = SpaceJson(report.in_features);
  json["in_pixels"] = SpaceJson(report.in_pixels);
  const std::optional<bool> copies = Copies(report);
  json["copies"] = nullptr;
  if (copies.has_value()) json["copies"] = *copies;
  json["out"] = report.out;
  return JsonLine(json);
}

}  // namespace ddgan
