#include "trainer/evaluation/commands/modes_report.h"

#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "trainer/evaluation/commands/report_json.h"

namespace ddgan {
namespace {

using Row = std::function<void(const char*, const std::string&)>;

std::string Percent(double share) {
  return absl::StrFormat("%.2f %%", 100 * share);
}

// KL of so many uniform points that are near a mode, which are those that the
// KL of `found` counts; there are some.
double GaussianKlFloor(const GaussianCoverage& found) {
  return UniformKl(std::llround(found.high_quality_share *
                                static_cast<double>(found.points)),
                   kGaussianModes);
}

void DigitRows(const DigitModes& found, const Row& row) {
  const DigitReport& digits = found.digits;
  row("modes covered", absl::StrCat(digits.coverage.modes_covered, " of ",
                                    digits.coverage.modes));
  row("KL to uniform", absl::StrFormat("%.4f nats", digits.coverage.kl));
  row("  if it were uniform",
      absl::StrFormat("%.4f nats on average", digits.coverage.kl_floor));
  row("mean confidence", absl::StrFormat("%.4f", digits.mean_confidence));
  row("  digits below 0.5", Percent(digits.share_below_50));
  row("  digits above 0.9", Percent(digits.share_above_90));
  for (int first = 0; first < kDigitCount; first += 5) {
    std::string shares;
    for (int digit = first; digit < first + 5; ++digit) {
      absl::StrAppendFormat(&shares, "%8s", Percent(digits.digit_share[digit]));
    }
    row(first == 0 ? "digits 0 to 4" : "digits 5 to 9", shares);
  }
}

void GaussianRows(const GaussianCoverage& found, const Row& row) {
  row("modes covered",
      absl::StrCat(found.modes_covered, " of ", kGaussianModes));
  row("KL to uniform", found.kl.has_value()
                           ? absl::StrFormat("%.4f nats", *found.kl)
                           : "none: no point is near a mode");
  if (found.kl.has_value()) {
    row("  if it were uniform",
        absl::StrFormat("%.4f nats on average", GaussianKlFloor(found)));
  }
  row("within 3 deviations", Percent(found.high_quality_share));
}

size_t Samples(const ModesReport& report) {
  if (const auto* digits = std::get_if<DigitModes>(&report.found)) {
    return digits->digits.coverage.samples;
  }
  return std::get<GaussianCoverage>(report.found).points;
}

void AddDigits(const DigitModes& found, nlohmann::ordered_json* json) {
  const DigitReport& digits = found.digits;
  (*json)["modes"] = digits.coverage.modes;
  (*json)["modes_covered"] = digits.coverage.modes_covered;
  (*json)["kl"] = digits.coverage.kl;
  (*json)["kl_floor"] = digits.coverage.kl_floor;
  (*json)["mean_confidence"] = digits.mean_confidence;
  (*json)["share_below_50"] = digits.share_below_50;
  (*json)["share_above_90"] = digits.share_above_90;
  (*json)["digit_share"] = digits.digit_share;
  (*json)["classifier_accuracy"] = found.classifier_accuracy;
  (*json)["classifier_trusted"] = found.classifier_accuracy >= kTrustedAccuracy;
}

void AddGaussians(const GaussianCoverage& found, nlohmann::ordered_json* json) {
  (*json)["modes"] = kGaussianModes;
  (*json)["modes_covered"] = found.modes_covered;
  (*json)["kl"] = nullptr;
  (*json)["kl_floor"] = nullptr;
  if (found.kl.has_value()) {
    (*json)["kl"] = *found.kl;
    (*json)["kl_floor"] = GaussianKlFloor(found);
  }
  (*json)["high_quality_share"] = found.high_quality_share;
}

}  // namespace

const char* ModesName(ModesKind kind) {
  switch (kind) {
    case ModesKind::kMnist:
      return "mnist";
    case ModesKind::kStackedMnist:
      return "stacked_mnist";
    case ModesKind::kGaussians:
      break;
  }
  return "25_gaussians";
}

std::string ModesTable(const ModesReport& report) {
  std::string table;
  const Row row = [&](const char* name, const std::string& value) {
    absl::StrAppendFormat(&table, "%-22s %s\n", name, value);
  };
  if (report.model.has_value()) {
    const ModelIdentity& identity = report.model->identity;
    row("model", absl::StrCat(identity.model, " version ", identity.version));
    if (!report.model->sampler.empty()) {
      row("rule", absl::StrCat(report.model->sampler, ", ",
                               EvaluationsText(report.model->evaluations)));
    }
  } else {
    row("pictures", absl::StrCat("real ones of ", ModesName(report.kind)));
  }
  row("samples", absl::StrCat(Samples(report), ", seed ", report.seed));
  const auto* digits = std::get_if<DigitModes>(&report.found);
  if (digits != nullptr) {
    DigitRows(*digits, row);
  } else {
    GaussianRows(std::get<GaussianCoverage>(report.found), row);
  }
  if (report.model.has_value() && report.model->images_per_second > 0) {
    row("sampler",
        absl::StrFormat("%.1f images/s", report.model->images_per_second));
  }
  if (digits != nullptr) {
    row("classifier", absl::StrCat(Percent(digits->classifier_accuracy),
                                   " of the test digits right"));
    if (digits->classifier_accuracy < kTrustedAccuracy) {
      absl::StrAppendFormat(&table,
                            "Do not trust these figures: the classifier should "
                            "get %.1f %% right.\n",
                            100 * kTrustedAccuracy);
    }
  }
  return table;
}

std::string ModesJson(const ModesReport& report) {
  nlohmann::ordered_json json;
  json["evaluation"] = "modes";
  json["problem"] = ModesName(report.kind);
  json["pictures"] = report.model.has_value() ? "model" : "real";
  if (report.model.has_value()) {
    json["model"] = report.model->identity.model;
    json["version"] = report.model->identity.version;
    json["digest"] = report.model->identity.digest;
    if (!report.model->sampler.empty()) {
      json["sampler"] = report.model->sampler;
    }
    if (report.model->evaluations > 0) {
      json["evaluations"] = report.model->evaluations;
    }
    if (report.model->images_per_second > 0) {
      json["images_per_second"] = report.model->images_per_second;
    }
  }
  json["seed"] = report.seed;
  json["samples"] = Samples(report);
  if (const auto* digits = std::get_if<DigitModes>(&report.found)) {
    AddDigits(*digits, &json);
  } else {
    AddGaussians(std::get<GaussianCoverage>(report.found), &json);
  }
  return JsonLine(json);
}

}  // namespace ddgan
