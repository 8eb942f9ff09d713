#include "engine/checkpoint/model_registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {

ModelRegistry::ModelRegistry(std::unique_ptr<VersionSource> source,
                             TryOut try_out, EngineObserver* observer,
                             Clock* clock)
    : source_(std::move(source)),
      try_out_(std::move(try_out)),
      observer_(observer),
      clock_(clock) {}

absl::Status ModelRegistry::LoadNewest() {
  const absl::StatusOr<std::vector<std::string>> models =
      source_->ListModelNames();
  if (!models.ok()) return models.status();
  std::vector<std::string> problems;
  for (const std::string& model : *models) {
    const absl::StatusOr<std::vector<int64_t>> versions =
        source_->ListVersions(model);
    if (!versions.ok()) {
      // One unreadable folder must not keep the other models from serving.
      problems.push_back(
          absl::StrCat(model, ": ", versions.status().message()));
      continue;
    }
    if (versions->empty()) {
      problems.push_back(absl::StrCat(model, " has no complete version"));
    }
    for (int64_t version : *versions) {
      if (LoadVersion(model, version)) break;
    }
  }
  if (AnyLive()) return absl::OkStatus();

  for (const ModelVersionStatus& refused : List()) {
    problems.push_back(absl::StrCat(refused.identity.model, " version ",
                                    refused.identity.version, ": ",
                                    refused.reason));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "no model version can be served: ",
      problems.empty() ? "there is none" : absl::StrJoin(problems, "; ")));
}

absl::StatusOr<std::shared_ptr<const ServableVersion>> ModelRegistry::Resolve(
    const std::string& model, std::optional<int64_t> version) const {
  absl::MutexLock lock(&mu_);
  const std::vector<std::string> live_models = LiveModelNames();
  if (model.empty() && live_models.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model is empty, but several are served; one of: ",
                     absl::StrJoin(live_models, ", ")));
  }
  const auto entry = models_.find(
      model.empty() && live_models.size() == 1 ? live_models.front() : model);
  if (entry == models_.end() || entry->second.live == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "no model \"", model, "\" is served; served: ",
        live_models.empty() ? "none" : absl::StrJoin(live_models, ", ")));
  }
  const std::shared_ptr<const ServableVersion>& live = entry->second.live;
  if (version && *version != live->identity.version) {
    return absl::NotFoundError(
        absl::StrCat("model \"", entry->first, "\" has no version ", *version,
                     " that is served; served: ", live->identity.version));
  }
  return live;
}

std::vector<ModelVersionStatus> ModelRegistry::List() const {
  absl::MutexLock lock(&mu_);
  std::vector<ModelVersionStatus> list;
  for (const auto& [model, entry] : models_) {
    // Newest first, with the live version in its place among the refused.
    std::map<int64_t, ModelVersionStatus, std::greater<>> versions;
    for (const auto& [version, reason] : entry.refused) {
      ModelVersionStatus& status = versions[version];
      status.identity.model = model;
      status.identity.version = version;
      status.state = VersionState::kRefused;
      status.reason = std::string(reason.message());
    }
    if (entry.live != nullptr) {
      const ServableVersion& live = *entry.live;
      ModelVersionStatus& status = versions[live.identity.version];
      status.identity = live.identity;
      status.state = VersionState::kLive;
      status.shape = live.shape;
      status.num_timesteps = live.num_timesteps;
      status.training_step = live.training_step;
      status.dataset = live.dataset;
      status.loaded_at = live.loaded_at;
    }
    for (auto& [version, status] : versions) list.push_back(std::move(status));
  }
  return list;
}

bool ModelRegistry::AnyLive() const {
  absl::MutexLock lock(&mu_);
  return !LiveModelNames().empty();
}

std::vector<std::shared_ptr<const ServableVersion>>
ModelRegistry::LiveVersions() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<const ServableVersion>> live;
  for (const auto& [name, entry] : models_) {
    if (entry.live != nullptr) live.push_back(entry.live);
  }
  return live;
}

bool ModelRegistry::LoadVersion(const std::string& model, int64_t version) {
  const absl::Time start = clock_->Now();
  absl::StatusOr<std::shared_ptr<const ServableVersion>> loaded =
      LoadAndTryOut(model, version);
  const absl::Duration duration = clock_->Now() - start;
  if (!loaded.ok()) {
    {
      absl::MutexLock lock(&mu_);
      models_[model].refused.insert_or_assign(version, loaded.status());
    }
    observer_->OnReload({model, version, /*digest=*/""}, loaded.status(),
                        duration);
    return false;
  }
  const ModelIdentity identity = (*loaded)->identity;
  std::shared_ptr<const ServableVersion> replaced = *std::move(loaded);
  {
    absl::MutexLock lock(&mu_);
    ModelEntry& entry = models_[model];
    entry.refused.erase(version);
    entry.live.swap(replaced);
  }
  // `replaced` now holds the old version: if nobody else does, its weights are
  // freed here, without the lock.
  observer_->OnReload(identity, absl::OkStatus(), duration);
  return true;
}

absl::StatusOr<std::shared_ptr<const ServableVersion>>
ModelRegistry::LoadAndTryOut(const std::string& model, int64_t version) {
  absl::StatusOr<ServableVersion> loaded = source_->Load(model, version);
  if (!loaded.ok()) return loaded.status();
  loaded->loaded_at = clock_->Now();
  const absl::Status tried = try_out_(*loaded);
  if (!tried.ok()) return tried;
  return std::make_shared<const ServableVersion>(*std::move(loaded));
}

std::vector<std::string> ModelRegistry::LiveModelNames() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : models_) {
    if (entry.live != nullptr) names.push_back(name);
  }
  return names;
}

}  // namespace ddgan
