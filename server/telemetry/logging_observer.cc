#include "server/telemetry/logging_observer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// Those of the newest versions. A model may have broken ones without end.
constexpr size_t kFailuresOfAModel = 16;

}  // namespace

void EngineLog::OnReload(const ModelIdentity& model, ReloadResult result,
                         const absl::Status& reason, absl::Duration duration) {
  if (result == ReloadResult::kLive) {
    {
      absl::MutexLock lock(&mu_);
      failures_[model.model].erase(model.version);
    }
    spdlog::info("model {} version {} loaded in {:.2f} s, digest {}",
                 model.model, model.version, absl::ToDoubleSeconds(duration),
                 model.digest);
    return;
  }
  const bool may_pass =
      result == ReloadResult::kNoMemory || result == ReloadResult::kError;
  std::string failure = reason.ToString();
  // "; 3 of the 8 MiB for models are free", which differs each time.
  if (result == ReloadResult::kNoMemory) {
    failure.resize(std::min(failure.find(';'), failure.size()));
  }
  bool is_new;
  {
    absl::MutexLock lock(&mu_);
    auto& failures = failures_[model.model];
    is_new = std::exchange(failures[model.version], failure) != failure;
    if (failures.size() > kFailuresOfAModel) failures.erase(failures.begin());
  }
  if (!is_new) return;
  spdlog::warn(
      "model {} version {}{}{}", model.model, model.version,
      may_pass ? " is not loaded yet: " : " refused: ", reason.ToString());
}

void EngineLog::OnLiveVersion(const ModelIdentity& model) {
  spdlog::info("model {} version {} is live", model.model, model.version);
}

void EngineLog::OnUnloaded(const ModelIdentity& model) {
  spdlog::info("model {} version {} unloaded", model.model, model.version);
}

void EngineLog::OnPin(const std::string& model,
                      std::optional<int64_t> version) {
  if (version.has_value()) {
    spdlog::info("model {} pinned to version {}", model, *version);
  } else {
    spdlog::info("model {} is not pinned any more", model);
  }
}

void EngineLog::OnModelDirectory(const absl::Status& health) {
  if (health.ok()) {
    spdlog::info("the model directory is watched again");
  } else {
    spdlog::warn("the model directory: {}", health.ToString());
  }
}

void EngineLog::OnStrayVersion(const std::string& what) {
  spdlog::warn("the model directory: {}", what);
}

void EngineLog::OnDeviceHealth(const std::string& device,
                               const absl::Status& health) {
  bool changed;
  {
    absl::MutexLock lock(&mu_);
    const auto [entry, is_new] = healthy_.try_emplace(device, health.ok());
    changed = is_new || entry->second != health.ok();
    entry->second = health.ok();
  }
  if (changed && health.ok()) spdlog::info("device {} is healthy", device);
  if (changed && !health.ok()) {
    spdlog::error("device {} takes no work: {}", device, health.ToString());
  }
}

void EngineLog::OnBatchLimit(const std::string& device, int max_batch_size) {
  spdlog::warn("device {} takes batches of at most {} images from now on",
               device, max_batch_size);
}

void EngineLog::OnDeviceNotice(const std::string& device,
                               const std::string& notice) {
  spdlog::warn("device {}: {}", device, notice);
}

}  // namespace ddgan
