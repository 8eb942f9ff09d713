#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "trainer/evaluation/commands/quality_command.h"
#include "trainer/evaluation/commands/report_json.h"

namespace ddgan {
namespace {

std::string MeasuredText(const QualityReport& report) {
  if (!report.version.has_value()) return report.pictures;
  const ModelIdentity& identity = report.version->identity;
  std::string text =
      absl::StrCat(identity.model, " version ", identity.version);
  if (!report.pictures.empty()) {
    absl::StrAppend(&text, " at ", report.pictures);
  }
  return text;
}

}  // namespace

std::string QualityTable(const QualityReport& report) {
  std::string table;
  const auto row = [&](const std::string& name, const std::string& value) {
    absl::StrAppendFormat(&table, "%-22s %s\n", name, value);
  };
  row(report.version.has_value() ? "model" : "pictures", MeasuredText(report));
  if (report.version.has_value() && !report.version->sampler.empty()) {
    row("sampler", absl::StrCat(report.version->sampler, ", ",
                                EvaluationsText(report.version->evaluations),
                                " per picture"));
  }
  row("samples", absl::StrCat(report.samples, ", seed ", report.seed,
                              ", through ", CodingName(report.through)));
  row("real pictures",
      absl::StrCat(report.data_samples, " of ", report.dataset));
  if (!report.data_choice.empty()) row("  namely", report.data_choice);
  row("features", absl::StrCat(report.feature_count, " of ", report.features));
  // A line of its own: 64 digits.
  absl::StrAppend(&table, "  digest ", report.features_digest, "\n");
  row(report.fd_name, absl::StrFormat("%.4f", report.fd));
  row("KID", absl::StrFormat("%.6f +- %.6f (%d subsets of %d)", report.kid.mean,
                             report.kid.stddev, report.kid.subsets,
                             report.kid.subset));
  if (report.kid_all.has_value()) {
    row("  of all", absl::StrFormat("%.6f", *report.kid_all));
  }
  if (report.inception.has_value()) {
    row("IS", absl::StrFormat("%.4f +- %.4f (%d splits, classes of %s)",
                              report.inception->mean, report.inception->stddev,
                              report.inception->splits, report.features));
  }
  const char* balls = report.strict ? "<" : "<=";
  const auto neighbour = [&](const char* name, double value, const char* edge) {
    row(name, absl::StrFormat("%.4f (k %d, %s)", value, report.k, edge));
  };
  neighbour("precision", report.neighbours.precision, balls);
  neighbour("recall", report.neighbours.recall, balls);
  neighbour("density", report.neighbours.density, "<");
  neighbour("coverage", report.neighbours.coverage, "<");
  if (report.constant) {
    absl::StrAppend(&table,
                    "All measured pictures have the same features: the model "
                    "is constant.\n");
  }
  return table;
}

std::string QualityJson(const QualityReport& report) {
  nlohmann::ordered_json json;
  json["evaluation"] = "quality";
  AddVersion(report.version, &json);
  json["evaluations"] = nullptr;
  if (report.version.has_value() && !report.version->sampler.empty()) {
    json["evaluations"] = report.version->evaluations;
  }
  json["pictures"] = report.pictures;
  json["through"] = CodingName(report.through);
  json["seed"] = report.seed;
  json["samples"] = report.samples;
  json["data"] = report.dataset;
  json["data_choice"] = report.data_choice;
  json["data_samples"] = report.data_samples;
  json["features"] = report.features;
  json["features_digest"] = report.features_digest;
  json["feature_count"] = report.feature_count;
  json["fd_name"] = report.fd_name;
  json["fd"] = report.fd;
  json["kid"] = report.kid.mean;
  json["kid_stddev"] = report.kid.stddev;
  json["kid_subsets"] = report.kid.subsets;
  json["kid_subset"] = report.kid.subset;
  json["kid_all"] = nullptr;
  if (report.kid_all.has_value()) json["kid_all"] = *report.kid_all;
  for (const char* key : {"is", "is_stddev", "is_splits"}) json[key] = nullptr;
  if (report.inception.has_value()) {
    json["is"] = report.inception->mean;
    json["is_stddev"] = report.inception->stddev;
    json["is_splits"] = report.inception->splits;
  }
  json["k"] = report.k;
  json["strict"] = report.strict;
  json["precision"] = report.neighbours.precision;
  json["recall"] = report.neighbours.recall;
  json["density"] = report.neighbours.density;
  json["coverage"] = report.neighbours.coverage;
  json["constant"] = report.constant;
  return JsonLine(json);
}

}  // namespace ddgan
