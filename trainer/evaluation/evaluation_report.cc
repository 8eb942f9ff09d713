#include "trainer/evaluation/evaluation_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace ddgan {

std::string EvaluationTable(const EvaluationReport& report) {
  const DigitReport& digits = report.digits;
  std::string table;
  const auto row = [&](const char* name, const std::string& value) {
    absl::StrAppendFormat(&table, "%-22s %s\n", name, value);
  };
  const auto percent = [](double share) {
    return absl::StrFormat("%.2f %%", 100 * share);
  };
  if (report.model.has_value()) {
    const ModelIdentity& identity = report.model->identity;
    row("model", absl::StrCat(identity.model, " version ", identity.version));
  } else {
    row("pictures", absl::StrCat("real ones of ", EvaluationName(report.kind)));
  }
  row("samples", absl::StrCat(digits.coverage.samples, ", seed ", report.seed));
  row("modes covered", absl::StrCat(digits.coverage.modes_covered, " of ",
                                    digits.coverage.modes));
  row("KL to uniform", absl::StrFormat("%.4f nats", digits.coverage.kl));
  row("  if it were uniform",
      absl::StrFormat("%.4f nats on average", digits.coverage.kl_floor));
  row("mean confidence", absl::StrFormat("%.4f", digits.mean_confidence));
  row("  digits below 0.5", percent(digits.share_below_50));
  row("  digits above 0.9", percent(digits.share_above_90));
  for (int first = 0; first < kDigitCount; first += 5) {
    std::string shares;
    for (int digit = first; digit < first + 5; ++digit) {
      absl::StrAppendFormat(&shares, "%8s", percent(digits.digit_share[digit]));
    }
    row(first == 0 ? "digits 0 to 4" : "digits 5 to 9", shares);
  }
  if (report.model.has_value()) {
    row("sampler",
        absl::StrFormat("%.1f images/s", report.model->images_per_second));
  }
  row("classifier", absl::StrCat(percent(report.classifier_accuracy),
                                 " of the test digits right"));
  if (report.classifier_accuracy < kTrustedAccuracy) {
    absl::StrAppendFormat(&table,
                          "Do not trust these figures: the classifier should "
                          "get %.1f %% right.\n",
                          100 * kTrustedAccuracy);
  }
  return table;
}

std::string EvaluationJson(const EvaluationReport& report) {
  const DigitReport& digits = report.digits;
  nlohmann::ordered_json json;
  json["evaluation"] = EvaluationName(report.kind);
  json["pictures"] = report.model.has_value() ? "model" : "real";
  if (report.model.has_value()) {
    json["model"] = report.model->identity.model;
    json["version"] = report.model->identity.version;
    json["digest"] = report.model->identity.digest;
    json["images_per_second"] = report.model->images_per_second;
  }
  json["seed"] = report.seed;
  json["samples"] = digits.coverage.samples;
  json["modes"] = digits.coverage.modes;
  json["modes_covered"] = digits.coverage.modes_covered;
  json["kl"] = digits.coverage.kl;
  json["kl_floor"] = digits.coverage.kl_floor;
  json["mean_confidence"] = digits.mean_confidence;
  json["share_below_50"] = digits.share_below_50;
  json["share_above_90"] = digits.share_above_90;
  json["digit_share"] = digits.digit_share;
  json["classifier_accuracy"] = report.classifier_accuracy;
  json["classifier_trusted"] = report.classifier_accuracy >= kTrustedAccuracy;
  return json.dump() + "\n";
}

}  // namespace ddgan
