// Metrics of denoising steps and of the images that they make.
#ifndef DDGAN_SERVER_TELEMETRY_STEP_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_STEP_METRICS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class StepMetrics : public virtual EngineObserver {
 public:
  // Versions of one model whose series are kept. One more, and the series of
  // the version that was used least recently are dropped.
  static constexpr int kVersionsKept = 4;

  // `registry` must outlive the metrics, here as in every group.
  explicit StepMetrics(MetricsRegistry* registry);

  void OnStep(const ModelIdentity& model, const std::string& device,
              absl::Span<const int> steps, absl::Duration device_time) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnImages(const ModelIdentity& model, int count) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnWastedSteps(WasteReason reason, int steps) override;

 private:
  // Series of one version's generator calls on one device. Found without a
  // label being put together, since they are looked up at every call.
  struct DeviceSeries {
    // Of all versions of the model, and not dropped with this one.
    prometheus::Histogram* batch_size = nullptr;
    // By the first step of a label (kMixedSteps if there are several) and batch
    // bucket.
    std::map<std::pair<int, int>, prometheus::Histogram*> step_duration;
  };

  // Series labelled with one version of a model.
  struct VersionSeries {
    int64_t version = 0;
    prometheus::Counter* images = nullptr;
    std::map<std::string, DeviceSeries> by_device;
  };

  // The series of `model`, which becomes the one used last.
  VersionSeries& SeriesOf(const ModelIdentity& model)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropSeries(const VersionSeries& series);

  // Constant after construction; the metrics themselves are thread-safe.
  prometheus::Family<prometheus::Histogram>& duration_;
  prometheus::Family<prometheus::Histogram>& batch_size_;
  prometheus::Family<prometheus::Counter>& images_;
  prometheus::Family<prometheus::Counter>& wasted_;

  absl::Mutex mu_;
  // By model; the version used last is at the back.
  std::map<std::string, std::vector<VersionSeries>> series_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_STEP_METRICS_H_
