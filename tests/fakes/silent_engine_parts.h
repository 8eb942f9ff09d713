// Receivers of an engine's events that do nothing, for tests and benchmarks
// that count what the engine itself costs.
#ifndef DDGAN_TESTS_FAKES_SILENT_ENGINE_PARTS_H_
#define DDGAN_TESTS_FAKES_SILENT_ENGINE_PARTS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"

namespace ddgan {

class SilentObserver : public EngineObserver {
 public:
  void OnStep(const ModelIdentity&, const std::string&, absl::Span<const int>,
              absl::Duration) override {}
  void OnQueueWait(const ModelIdentity&, absl::Duration) override {}
  void OnImages(const ModelIdentity&, int) override {}
  void OnRejected(RejectReason) override {}
  void OnWastedSteps(WasteReason, int) override {}
  void OnQueueState(int, int, absl::Time) override {}
  void OnReload(const ModelIdentity&, ReloadResult, const absl::Status&,
                absl::Duration) override {}
  void OnReloadPhase(ReloadPhase, absl::Duration) override {}
  void OnLiveVersion(const ModelIdentity&, absl::Time) override {}
  void OnUnloaded(const ModelIdentity&) override {}
  void OnPin(const std::string&, std::optional<int64_t>) override {}
  void OnRefusedVersions(const std::string&,
                         const std::array<int, kNumReloadResults>&) override {}
  void OnModelDirectory(const absl::Status&) override {}
  void OnDeviceHealth(const std::string&, const absl::Status&) override {}
  void OnBatchLimit(const std::string&, int) override {}
  void OnDeviceNotice(const std::string&, const std::string&) override {}
  void OnDeviceMemory(const std::string&, int64_t) override {}
};

class SilentSink : public GenerationSink {
 public:
  void OnImage(GeneratedImage) override {}
  void OnFinished(const absl::Status&, const GenerationTimings&) override {}
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SILENT_ENGINE_PARTS_H_
