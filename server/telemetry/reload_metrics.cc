#include "server/telemetry/reload_metrics.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

const prometheus::Histogram::BucketBoundaries kReloadSeconds = {
    0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};

const char* LabelOf(ReloadResult result) {
  switch (result) {
    case ReloadResult::kLive:
      return "live";
    case ReloadResult::kDamaged:
      return "damaged";
    case ReloadResult::kInvalid:
      return "invalid";
    case ReloadResult::kCanary:
      return "canary";
    case ReloadResult::kStep:
      return "step";
    case ReloadResult::kNoMemory:
      return "no_memory";
    case ReloadResult::kError:
      return "error";
  }
  return "unknown";
}

const char* LabelOf(ReloadPhase phase) {
  switch (phase) {
    case ReloadPhase::kRead:
      return "read";
    case ReloadPhase::kWarmUp:
      return "warm_up";
    case ReloadPhase::kCanary:
      return "canary";
  }
  return "unknown";
}
// All phases of a version that was sound, and what lies between them.
constexpr char kWholeReloadLabel[] = "total";

}  // namespace

ReloadMetrics::ReloadMetrics(MetricsRegistry* registry)
    : reloads_(registry->Counters(
          "ddgan_reloads_total",
          "Attempts to load a model version; result is live if it was sound, "
          "else why it was not.")),
      info_(registry->Gauges("ddgan_model_info",
                             "1 for the live version of each model.")),
      loaded_timestamp_(registry->Gauges(
          "ddgan_model_loaded_timestamp_seconds",
          "When the live version of each model had been loaded, since 1970.")),
      pinned_version_(registry->Gauges(
          "ddgan_model_pinned_version",
          "The version that an operator has pinned; no series if none is.")),
      versions_refused_(registry->Gauges(
          "ddgan_versions_refused",
          "Versions in the model directory that are not served, by what is "
          "wrong with them.")) {
  prometheus::Family<prometheus::Histogram>& duration = registry->Histograms(
      "ddgan_reload_duration_seconds",
      "Time of each phase of a load that the version passed; total is the "
      "whole load of a version that is sound.");
  for (int i = 0; i < kNumReloadPhases; ++i) {
    phase_duration_[i] = &duration.Add(
        {{"phase", LabelOf(static_cast<ReloadPhase>(i))}}, kReloadSeconds);
  }
  duration_ = &duration.Add({{"phase", kWholeReloadLabel}}, kReloadSeconds);
}

void ReloadMetrics::OnReload(const ModelIdentity& model, ReloadResult result,
                             const absl::Status& /*reason*/,
                             absl::Duration duration) {
  if (result == ReloadResult::kLive) {
    duration_->Observe(absl::ToDoubleSeconds(duration));
  }
  absl::MutexLock lock(&mu_);
  SeriesOf(model.model).reloads[static_cast<size_t>(result)]->Increment();
}

void ReloadMetrics::OnReloadPhase(ReloadPhase phase, absl::Duration duration) {
  phase_duration_[static_cast<size_t>(phase)]->Observe(
      absl::ToDoubleSeconds(duration));
}

void ReloadMetrics::OnLiveVersion(const ModelIdentity& model,
                                  absl::Time loaded_at) {
  absl::MutexLock lock(&mu_);
  ModelSeries& series = SeriesOf(model.model);
  if (series.info != nullptr) info_.Remove(series.info);
  series.live = model;
  series.info = &info_.Add({{"model", model.model},
                            {"version", absl::StrCat(model.version)},
                            {"digest", model.digest}});
  series.info->Set(1);
  series.loaded_timestamp = &loaded_timestamp_.Add({{"model", model.model}});
  series.loaded_timestamp->Set(
      absl::ToDoubleSeconds(loaded_at - absl::UnixEpoch()));
}

void ReloadMetrics::OnUnloaded(const ModelIdentity& model) {
  absl::MutexLock lock(&mu_);
  ModelSeries& series = SeriesOf(model.model);
  // Only the live version of a model that is no longer there: another one has
  // otherwise taken its place before.
  if (series.info == nullptr || series.live != model) return;
  info_.Remove(std::exchange(series.info, nullptr));
  loaded_timestamp_.Remove(std::exchange(series.loaded_timestamp, nullptr));
}

void ReloadMetrics::OnPin(const std::string& model,
                          std::optional<int64_t> version) {
  absl::MutexLock lock(&mu_);
  ModelSeries& series = SeriesOf(model);
  if (version.has_value()) {
    series.pinned = &pinned_version_.Add({{"model", model}});
    series.pinned->Set(static_cast<double>(*version));
  } else if (series.pinned != nullptr) {
    pinned_version_.Remove(std::exchange(series.pinned, nullptr));
  }
}

void ReloadMetrics::OnRefusedVersions(
    const std::string& model, const std::array<int, kNumReloadResults>& count) {
  absl::MutexLock lock(&mu_);
  ModelSeries& series = SeriesOf(model);
  for (size_t i = 0; i < count.size(); ++i) {
    prometheus::Gauge*& refused = series.refused[i];
    if (refused == nullptr && count[i] == 0) continue;
    if (refused == nullptr) {
      refused = &versions_refused_.Add(
          {{"model", model},
           {"reason", LabelOf(static_cast<ReloadResult>(i))}});
    }
    refused->Set(count[i]);
  }
}

ReloadMetrics::ModelSeries& ReloadMetrics::SeriesOf(const std::string& model) {
  const auto [entry, is_new] = series_.try_emplace(model);
  ModelSeries& series = entry->second;
  if (!is_new) return series;
  for (int i = 0; i < kNumReloadResults; ++i) {
    series.reloads[i] = &reloads_.Add(
        {{"model", model}, {"result", LabelOf(static_cast<ReloadResult>(i))}});
  }
  return series;
}

}  // namespace ddgan
