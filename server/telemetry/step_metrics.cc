#include "server/telemetry/step_metrics.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "engine/api/batch_bucket.h"

namespace ddgan {
namespace {

using prometheus::Histogram;

// Bounds in seconds. Steps take half a millisecond on a GPU and seconds on a
// busy CPU.
const Histogram::BucketBoundaries kStepSeconds = {
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,
    0.125,  0.25,  0.5,   1,     2,     4,     8,     16};
const Histogram::BucketBoundaries kBatchSizes = {1,  2,  4,   8,  16,
                                                 32, 64, 128, 256};

const char* LabelOf(WasteReason reason) {
  switch (reason) {
    case WasteReason::kCancelled:
      return "cancelled";
    case WasteReason::kDeadline:
      return "deadline";
    case WasteReason::kShutdown:
      return "shutdown";
    case WasteReason::kStepFailed:
      return "step_failed";
    case WasteReason::kReplayed:
      return "replayed";
  }
  return "unknown";
}

// Rows at different steps share one generator call, whose time belongs to none
// of them alone: such a call is "mixed".
constexpr int kMixedSteps = -1;

// Steps below this have labels of their own; those of models with more go by
// powers of two, so that a model of a thousand has few series.
constexpr int kSingleSteps = 16;

// The first step of those that share `step`'s label.
int FirstOfLabel(int step) {
  return step < kSingleSteps
             ? step
             : static_cast<int>(std::bit_floor(static_cast<unsigned>(step)));
}

// Of the step if every row is at one with this label.
int CommonStep(absl::Span<const int> steps) {
  const int first = FirstOfLabel(steps.front());
  const bool uniform =
      std::all_of(steps.begin(), steps.end(),
                  [first](int step) { return FirstOfLabel(step) == first; });
  return uniform ? first : kMixedSteps;
}

std::string StepLabel(int first) {
  if (first == kMixedSteps) return "mixed";
  if (first < kSingleSteps) return absl::StrCat(first);
  return absl::StrCat(first, "-", 2 * first - 1);
}

}  // namespace

StepMetrics::StepMetrics(MetricsRegistry* registry)
    : duration_(registry->Histograms(
          "ddgan_step_duration_seconds",
          "Device time of one generator call; step is how many steps its rows "
          "have after it, from 16 on by powers of two, or mixed; batch_bucket "
          "is the batch size rounded up to a power of two.")),
      batch_size_(registry->Histograms("ddgan_step_batch_size",
                                       "Images in one generator call.")),
      images_(registry->Counters("ddgan_images_total",
                                 "Images whose last denoising step is done.")),
      wasted_(registry->Counters("ddgan_wasted_steps_total",
                                 "Denoising steps, one per image, that were of "
                                 "no use to anyone.")) {
  // Counters whose labels are known exist from the start, here as in every
  // group, so that a rate() over the first event is not lost.
  for (int i = 0; i < kNumWasteReasons; ++i) {
    wasted_.Add({{"reason", LabelOf(static_cast<WasteReason>(i))}});
  }
}

void StepMetrics::OnStep(const ModelIdentity& model, const std::string& device,
                         absl::Span<const int> steps,
                         absl::Duration device_time) {
  if (steps.empty()) return;
  const int step = CommonStep(steps);
  // Named by its largest batch, a power of two.
  const int bucket = 1 << BatchBucket(static_cast<int>(steps.size()));
  absl::MutexLock lock(&mu_);
  DeviceSeries& series = SeriesOf(model).by_device[device];
  if (series.batch_size == nullptr) {
    series.batch_size = &batch_size_.Add(
        {{"model", model.model}, {"device", device}}, kBatchSizes);
  }
  Histogram*& duration = series.step_duration[{step, bucket}];
  if (duration == nullptr) {
    duration = &duration_.Add({{"model", model.model},
                               {"version", absl::StrCat(model.version)},
                               {"device", device},
                               {"step", StepLabel(step)},
                               {"batch_bucket", absl::StrCat(bucket)}},
                              kStepSeconds);
  }
  duration->Observe(absl::ToDoubleSeconds(device_time));
  series.batch_size->Observe(static_cast<double>(steps.size()));
}

void StepMetrics::OnImages(const ModelIdentity& model, int count) {
  absl::MutexLock lock(&mu_);
  SeriesOf(model).images->Increment(count);
}

void StepMetrics::OnWastedSteps(WasteReason reason, int steps) {
  wasted_.Add({{"reason", LabelOf(reason)}}).Increment(steps);
}

StepMetrics::VersionSeries& StepMetrics::SeriesOf(const ModelIdentity& model) {
  std::vector<VersionSeries>& versions = series_[model.model];
  auto found = std::find_if(versions.begin(), versions.end(),
                            [&model](const VersionSeries& series) {
                              return series.version == model.version;
                            });
  if (found != versions.end()) {
    std::rotate(found, found + 1, versions.end());
    return versions.back();
  }
  if (versions.size() == kVersionsKept) {
    DropSeries(versions.front());
    versions.erase(versions.begin());
  }
  VersionSeries series;
  series.version = model.version;
  series.images = &images_.Add(
      {{"model", model.model}, {"version", absl::StrCat(model.version)}});
  versions.push_back(std::move(series));
  return versions.back();
}

void StepMetrics::DropSeries(const VersionSeries& series) {
  images_.Remove(series.images);
  for (const auto& [device, of_device] : series.by_device) {
    for (const auto& [labels, histogram] : of_device.step_duration) {
      duration_.Remove(histogram);
    }
  }
}

}  // namespace ddgan
