#include "engine/versions/model_registry.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {
namespace {

// Of many names a message holds the first ones.
constexpr size_t kMaxNamed = 10;

std::string Listed(std::vector<std::string> names) {
  if (names.empty()) return "none";
  if (names.size() > kMaxNamed) {
    const size_t more = names.size() - kMaxNamed;
    names.resize(kMaxNamed);
    names.push_back(absl::StrCat(more, " more"));
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

ModelRegistry::ModelRegistry(const Options& options, EngineObserver* observer)
    : options_(options),
      observer_(observer),
      graveyard_(std::make_shared<VersionGraveyard>()) {}

ModelRegistry::~ModelRegistry() {
  SetWake(nullptr);
  std::map<std::string, ModelVersions> models;
  {
    absl::MutexLock lock(&mu_);
    models.swap(models_);
  }
  models.clear();
  // What others hold still is freed with its last handle's graveyard.
  graveyard_->Take();
}

absl::StatusOr<std::shared_ptr<const ServableVersion>> ModelRegistry::Resolve(
    const std::string& model, std::optional<int64_t> version) const {
  absl::MutexLock lock(&mu_);
  auto found = models_.find(model);
  if (model.empty()) {
    const auto is_live = [](const auto& entry) {
      return entry.second.live() != nullptr;
    };
    found = std::find_if(models_.begin(), models_.end(), is_live);
    if (found != models_.end() &&
        std::any_of(std::next(found), models_.end(), is_live)) {
      return absl::InvalidArgumentError(
          absl::StrCat("model is empty, but several are served; one of: ",
                       Listed(LiveModelNames())));
    }
  }
  const std::shared_ptr<const ServableVersion> live =
      found == models_.end() ? nullptr : found->second.live();
  if (live == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("no model \"", model,
                     "\" is served; served: ", Listed(LiveModelNames())));
  }
  if (!version) return live;
  std::shared_ptr<const ServableVersion> loaded =
      found->second.FindLoaded(*version);
  if (loaded != nullptr) return loaded;
  const std::string served =
      absl::StrJoin(found->second.loaded(), ", ",
                    [](std::string* out, const ModelVersions::Handle& other) {
                      absl::StrAppend(out, other->identity.version);
                    });
  return absl::NotFoundError(absl::StrCat("model \"", found->first,
                                          "\" has no version ", *version,
                                          " that is served; served: ", served));
}

std::vector<ModelStatus> ModelRegistry::List() const {
  absl::MutexLock lock(&mu_);
  std::vector<ModelStatus> list;
  for (const auto& [model, versions] : models_) {
    if (!versions.empty()) list.push_back(versions.Describe());
  }
  return list;
}

std::vector<std::string> ModelRegistry::ListStrays() const {
  absl::MutexLock lock(&mu_);
  return strays_;
}

void ModelRegistry::SetStrays(std::vector<std::string> strays) {
  {
    absl::MutexLock lock(&mu_);
    for (const std::string& stray : strays) {
      if (std::find(strays_.begin(), strays_.end(), stray) == strays_.end()) {
        reports_.Post([this, stray] { observer_->OnStrayVersion(stray); });
      }
    }
    strays_ = std::move(strays);
  }
  Report();
}

bool ModelRegistry::AnyLive() const {
  absl::MutexLock lock(&mu_);
  return !LiveModelNames().empty();
}

std::vector<std::shared_ptr<const ServableVersion>>
ModelRegistry::LoadedVersions() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<const ServableVersion>> all;
  for (const auto& [model, versions] : models_) {
    for (auto& loaded : versions.loaded()) all.push_back(std::move(loaded));
  }
  return all;
}

void ModelRegistry::SetWake(std::function<void()> wake) {
  graveyard_->SetListener(wake);
  absl::MutexLock lock(&mu_);
  wake_ = std::move(wake);
}

Pins ModelRegistry::pins() const {
  absl::MutexLock lock(&mu_);
  Pins pins;
  for (const auto& [model, versions] : models_) {
    if (versions.pinned()) pins[model] = *versions.pinned();
  }
  return pins;
}

bool ModelRegistry::Knows(const std::string& model) const {
  absl::MutexLock lock(&mu_);
  return models_.contains(model);
}

absl::Status ModelRegistry::CheckPinnable(const std::string& model,
                                          int64_t version) const {
  absl::MutexLock lock(&mu_);
  const auto found = models_.find(model);
  if (found != models_.end()) return found->second.CheckPinnable(version);
  std::vector<std::string> names;
  for (const auto& [name, versions] : models_) names.push_back(name);
  return absl::NotFoundError(
      absl::StrCat("there is no model \"", model,
                   "\"; there are: ", Listed(std::move(names))));
}

absl::StatusOr<int64_t> ModelRegistry::RollBackTarget(
    const std::string& model) const {
  absl::MutexLock lock(&mu_);
  const auto found = models_.find(model);
  return found == models_.end() ? ModelVersions(model).RollBackTarget()
                                : found->second.RollBackTarget();
}

void ModelRegistry::SetPin(const std::string& model,
                           std::optional<int64_t> pin) {
  std::function<void()> wake;
  {
    absl::MutexLock lock(&mu_);
    ModelVersions& versions = EntryOf(model);
    versions.set_pinned(pin);
    reports_.Post([this, model, pin] { observer_->OnPin(model, pin); });
    if (pin && versions.FindLoaded(*pin) != nullptr &&
        versions.live() != versions.FindLoaded(*pin)) {
      PostLive(*versions.MakeLive(*pin));
    }
    PostChange();
    wake = wake_;
  }
  if (wake != nullptr) wake();
}

void ModelRegistry::Report() { reports_.Deliver(); }

std::vector<std::string> ModelRegistry::Models() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [model, versions] : models_) names.push_back(model);
  return names;
}

void ModelRegistry::SetOnDisk(const std::string& model,
                              std::map<int64_t, VersionFiles> on_disk,
                              absl::Time now) {
  {
    absl::MutexLock lock(&mu_);
    if (EntryOf(model).SetOnDisk(std::move(on_disk), now)) PostChange();
  }
  Report();
}

std::optional<LifecycleAction> ModelRegistry::Advance(const std::string& model,
                                                      absl::Time now) {
  std::shared_ptr<const ServableVersion> unloaded;
  {
    absl::MutexLock lock(&mu_);
    ModelVersions& versions = EntryOf(model);
    ModelFacts facts;
    facts.keep_versions = options_.keep_versions;
    facts.now = now;
    facts.free_bytes = FreeBytes();
    for (const Draining& draining : draining_) {
      const absl::Time end = draining.since + kLongestDrain;
      // What is left of earlier ones may never come back.
      if (end > now) facts.draining_bytes += draining.bytes;
      facts.drained_by = std::max(facts.drained_by, end);
    }
    versions.AddFacts(&facts);
    const LifecycleAction action = NextLifecycleAction(facts);
    const bool waits = action.kind == LifecycleAction::Kind::kWaitForRoom;
    if (versions.SetWaitingForRoom(waits ? std::optional(action.version)
                                         : std::nullopt)) {
      PostChange();
    }
    if (action.kind == LifecycleAction::Kind::kMakeLive) {
      PostLive(*versions.MakeLive(action.version));
    } else if (action.kind == LifecycleAction::Kind::kUnload) {
      unloaded = versions.Unload(action.version);
      draining_.push_back({unloaded->bytes, unloaded.get(), now});
    } else {
      return action;
    }
    PostChange();
  }
  unloaded.reset();
  FreeVersions();
  return std::nullopt;
}

std::shared_ptr<const ServableVersion> ModelRegistry::BeginLoading(
    const std::string& model, int64_t version) {
  std::shared_ptr<const ServableVersion> live;
  {
    absl::MutexLock lock(&mu_);
    ModelVersions& versions = EntryOf(model);
    versions.BeginLoading(version);
    live = versions.live();
    PostChange();
  }
  Report();
  return live;
}

void ModelRegistry::GiveUpLoading(const std::string& model) {
  {
    absl::MutexLock lock(&mu_);
    EntryOf(model).GiveUpLoading();
    PostChange();
  }
  Report();
}

void ModelRegistry::Publish(ServableVersion version, const VersionFiles& files,
                            absl::Duration duration) {
  {
    absl::MutexLock lock(&mu_);
    const ModelIdentity identity = version.identity;
    EntryOf(identity.model)
        .AddLoaded(graveyard_->Share(std::move(version)), files);
    reports_.Post([this, identity, duration] {
      observer_->OnReload(identity, ReloadResult::kLive, absl::OkStatus(),
                          duration);
    });
    PostChange();
  }
  Report();
}

void ModelRegistry::Refuse(const std::string& model, int64_t version,
                           const VersionFiles& files,
                           const VersionFiles& files_now,
                           const VersionVerdict& verdict, absl::Time now,
                           absl::Duration duration) {
  {
    absl::MutexLock lock(&mu_);
    EntryOf(model).Refuse(version, files, files_now, verdict, now);
    reports_.Post([this, model, version, verdict, duration] {
      observer_->OnReload({model, version, /*digest=*/""}, verdict.result,
                          verdict.reason, duration);
    });
    PostChange();
  }
  Report();
}

int64_t ModelRegistry::BytesOf(const std::string& model,
                               int64_t version) const {
  absl::MutexLock lock(&mu_);
  const auto found = models_.find(model);
  return found == models_.end() ? 0 : found->second.BytesOf(version);
}

absl::Status ModelRegistry::CheckRoom(int64_t bytes) const {
  absl::MutexLock lock(&mu_);
  const int64_t free = FreeBytes();
  if (bytes <= free) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "needs about ", bytes >> 20, " MiB; ", std::max<int64_t>(free, 0) >> 20,
      " of the ", options_.max_model_bytes >> 20, " MiB for models are free"));
}

void ModelRegistry::ReportRefusals(const std::string& model) {
  {
    absl::MutexLock lock(&mu_);
    const auto refused = EntryOf(model).ChangedRefusals();
    if (refused) {
      reports_.Post([this, model, count = *refused] {
        observer_->OnRefusedVersions(model, count);
      });
    }
  }
  Report();
}

void ModelRegistry::FreeVersions() {
  auto freed = graveyard_->Take();
  std::vector<std::pair<const ServableVersion*, ModelIdentity>> gone;
  for (const auto& version : freed) {
    gone.emplace_back(version.get(), version->identity);
  }
  freed.clear();
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [address, identity] : gone) {
      std::erase_if(draining_, [address = address](const Draining& draining) {
        return draining.address == address;
      });
      const auto entry = models_.find(identity.model);
      // Rolled back to while it drained, it is loaded a second time.
      if (entry != models_.end() &&
          entry->second.FindLoaded(identity.version) != nullptr) {
        continue;
      }
      reports_.Post(
          [this, identity = identity] { observer_->OnUnloaded(identity); });
    }
  }
  Report();
}

void ModelRegistry::ForgetEmpty() {
  absl::MutexLock lock(&mu_);
  std::erase_if(models_,
                [](const auto& entry) { return entry.second.empty(); });
}

int64_t ModelRegistry::FreeBytes() const {
  int64_t bytes = options_.max_model_bytes;
  for (const auto& [model, versions] : models_) {
    for (const auto& loaded : versions.loaded()) bytes -= loaded->bytes;
  }
  for (const Draining& draining : draining_) bytes -= draining.bytes;
  return bytes;
}

void ModelRegistry::PostLive(const ServableVersion& version) {
  reports_.Post(
      [this, identity = version.identity, loaded_at = version.loaded_at] {
        observer_->OnLiveVersion(identity, loaded_at);
      });
}

std::vector<std::string> ModelRegistry::LiveModelNames() const {
  std::vector<std::string> names;
  for (const auto& [model, versions] : models_) {
    if (versions.live() != nullptr) names.push_back(model);
  }
  return names;
}

}  // namespace ddgan
