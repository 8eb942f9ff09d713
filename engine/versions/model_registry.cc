#include "engine/versions/model_registry.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {
namespace {

// A step may fail for the device's sake and not for the version's; so it is
// tried again, but not often.
constexpr absl::Duration kFirstStepRetry = absl::Seconds(10);
constexpr absl::Duration kLongestStepRetry = absl::Minutes(10);

// What a version takes before anybody has loaded it: the file is in memory
// while its tensors are made. A size that no version may have is refused when
// read.
int64_t EstimatedBytes(const VersionFiles& files) {
  return 2 *
         static_cast<int64_t>(std::min(files.weights_bytes, kMaxWeightsBytes));
}

ReloadResult ResultOfRead(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kNotFound:
      return ReloadResult::kDamaged;
    case absl::StatusCode::kInvalidArgument:
      return ReloadResult::kInvalid;
    case absl::StatusCode::kResourceExhausted:
      return ReloadResult::kNoMemory;
    default:
      return ReloadResult::kError;
  }
}

// Until its files change, for those that only this can mend.
absl::Duration RetryAfter(ReloadResult result, int failures) {
  switch (result) {
    case ReloadResult::kStep:
      return RetryDelay(failures, kFirstStepRetry, kLongestStepRetry);
    case ReloadResult::kNoMemory:
    case ReloadResult::kError:
      return RetryDelay(failures, ModelRegistry::kFirstRetry,
                        ModelRegistry::kLongestRetry);
    default:
      return absl::InfiniteDuration();
  }
}

bool IsRefusal(ReloadResult result) {
  return result != ReloadResult::kNoMemory && result != ReloadResult::kError;
}

std::string Numbers(const std::vector<int64_t>& versions) {
  return versions.empty() ? "none" : absl::StrJoin(versions, ", ");
}

}  // namespace

ModelRegistry::ModelRegistry(Options options,
                             std::unique_ptr<VersionSource> source,
                             TryOut try_out, EngineObserver* observer,
                             Clock* clock)
    : options_(std::move(options)),
      source_(std::move(source)),
      try_out_(std::move(try_out)),
      observer_(observer),
      clock_(clock),
      graveyard_(std::make_shared<VersionGraveyard>()) {}

ModelRegistry::~ModelRegistry() {
  SetWake(nullptr);
  std::map<std::string, ModelEntry> models;
  {
    absl::MutexLock lock(&mu_);
    models.swap(models_);
  }
  models.clear();
  // What others hold still is freed with its last handle's graveyard.
  graveyard_->Take();
}

absl::Status ModelRegistry::RestorePins() {
  if (options_.state_dir.empty()) return absl::OkStatus();
  const absl::StatusOr<Pins> pins = ReadPins(options_.state_dir);
  if (!pins.ok()) return pins.status();
  for (const auto& [model, version] : *pins) {
    {
      absl::MutexLock lock(&mu_);
      models_[model].pinned = version;
    }
    observer_->OnPin(model, version);
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> ModelRegistry::Reconcile() {
  const absl::StatusOr<std::vector<std::string>> on_disk =
      source_->ListModelNames();
  FreeVersions();
  if (!on_disk.ok()) return on_disk.status();
  std::set<std::string> models(on_disk->begin(), on_disk->end());
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [model, entry] : models_) models.insert(model);
  }
  absl::Time look_again = absl::InfiniteFuture();
  for (const std::string& model : models) {
    look_again = std::min(look_again, ReconcileModel(model));
  }
  absl::MutexLock lock(&mu_);
  std::erase_if(models_, [](const auto& model) {
    const ModelEntry& entry = model.second;
    return entry.on_disk.empty() && entry.loaded.empty() && !entry.pinned;
  });
  return look_again;
}

void ModelRegistry::StopLoading() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
}

void ModelRegistry::SetWake(std::function<void()> wake) {
  graveyard_->SetListener(wake);
  absl::MutexLock lock(&mu_);
  wake_ = std::move(wake);
}

absl::StatusOr<std::shared_ptr<const ServableVersion>> ModelRegistry::Resolve(
    const std::string& model, std::optional<int64_t> version) const {
  absl::MutexLock lock(&mu_);
  const std::string* name = &model;
  if (model.empty()) {
    name = nullptr;
    for (const auto& [candidate, entry] : models_) {
      if (!entry.live) continue;
      if (name != nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("model is empty, but several are served; one of: ",
                         absl::StrJoin(LiveModelNames(), ", ")));
      }
      name = &candidate;
    }
  }
  const auto entry = name == nullptr ? models_.end() : models_.find(*name);
  if (entry == models_.end() || !entry->second.live) {
    const std::vector<std::string> live = LiveModelNames();
    return absl::NotFoundError(
        absl::StrCat("no model \"", model, "\" is served; served: ",
                     live.empty() ? "none" : absl::StrJoin(live, ", ")));
  }
  const auto& loaded = entry->second.loaded;
  const auto found = loaded.find(version.value_or(*entry->second.live));
  if (found != loaded.end()) return found->second.version;
  std::vector<int64_t> served;
  for (const auto& [number, unused] : loaded) served.push_back(number);
  return absl::NotFoundError(
      absl::StrCat("model \"", entry->first, "\" has no version ", *version,
                   " that is served; served: ", Numbers(served)));
}

ModelVersionStatus ModelRegistry::Describe(const std::string& model,
                                           const ModelEntry& entry,
                                           int64_t version) {
  ModelVersionStatus status;
  status.identity.model = model;
  status.identity.version = version;
  const auto on_disk = entry.on_disk.find(version);
  if (const auto found = entry.loaded.find(version);
      found != entry.loaded.end()) {
    const ServableVersion& loaded = *found->second.version;
    status.identity = loaded.identity;
    status.state =
        entry.live == version ? VersionState::kLive : VersionState::kLoaded;
    status.shape = loaded.shape;
    status.num_timesteps = loaded.num_timesteps;
    status.training_step = loaded.training_step;
    status.dataset = loaded.dataset;
    status.loaded_at = loaded.loaded_at;
    if (on_disk != entry.on_disk.end() &&
        on_disk->second != found->second.files) {
      status.reason =
          "its files have changed since it was loaded, which nothing takes up: "
          "publish under a new number";
    }
    return status;
  }
  if (entry.loading == version) {
    status.state = VersionState::kLoading;
    return status;
  }
  status.state = VersionState::kOnDisk;
  if (const auto found = entry.attempts.find(version);
      found != entry.attempts.end()) {
    status.state = IsRefusal(found->second.result) ? VersionState::kRefused
                                                   : VersionState::kWaiting;
    status.reason = std::string(found->second.reason.message());
  }
  return status;
}

std::vector<ModelStatus> ModelRegistry::List() const {
  absl::MutexLock lock(&mu_);
  std::vector<ModelStatus> list;
  for (const auto& [model, entry] : models_) {
    std::set<int64_t, std::greater<>> versions;
    for (const auto& [version, files] : entry.on_disk) versions.insert(version);
    for (const auto& [version, loaded] : entry.loaded) versions.insert(version);
    if (versions.empty() && !entry.pinned) continue;
    ModelStatus status{.model = model, .pinned = entry.pinned, .versions = {}};
    for (int64_t version : versions) {
      status.versions.push_back(Describe(model, entry, version));
    }
    list.push_back(std::move(status));
  }
  return list;
}

absl::Status ModelRegistry::Pin(const std::string& model, int64_t version) {
  absl::MutexLock changes_lock(&changes_mu_);
  if (auto status = CheckPinnable(model, version); !status.ok()) return status;
  return SetPin(model, version);
}

absl::Status ModelRegistry::Unpin(const std::string& model) {
  absl::MutexLock changes_lock(&changes_mu_);
  {
    absl::MutexLock lock(&mu_);
    const auto entry = models_.find(model);
    if (entry == models_.end()) {
      return absl::NotFoundError(
          absl::StrCat("there is no model \"", model, "\""));
    }
    if (!entry->second.pinned) return absl::OkStatus();
  }
  return SetPin(model, std::nullopt);
}

absl::StatusOr<int64_t> ModelRegistry::RollBack(const std::string& model) {
  absl::MutexLock changes_lock(&changes_mu_);
  std::optional<int64_t> target;
  {
    absl::MutexLock lock(&mu_);
    const auto found = models_.find(model);
    if (found == models_.end() || !found->second.live) {
      return absl::NotFoundError(
          absl::StrCat("no model \"", model, "\" is served"));
    }
    const ModelEntry& entry = found->second;
    // One that has served before is known to be good; else one that nothing is
    // known against.
    for (const auto& [version, loaded] : entry.loaded) {
      if (version < *entry.live) target = version;
    }
    if (!target) {
      for (const auto& [version, files] : entry.on_disk) {
        if (version < *entry.live && !entry.attempts.contains(version)) {
          target = version;
        }
      }
    }
    if (!target) {
      return absl::FailedPreconditionError(absl::StrCat(
          "model \"", model, "\" has no sound version before ", *entry.live));
    }
  }
  if (auto status = SetPin(model, target); !status.ok()) return status;
  return *target;
}

absl::Status ModelRegistry::CheckPinnable(const std::string& model,
                                          int64_t version) const {
  absl::MutexLock lock(&mu_);
  const auto found = models_.find(model);
  if (found == models_.end()) {
    std::vector<std::string> names;
    for (const auto& [name, entry] : models_) names.push_back(name);
    return absl::NotFoundError(
        absl::StrCat("there is no model \"", model, "\"; there are: ",
                     names.empty() ? "none" : absl::StrJoin(names, ", ")));
  }
  const ModelEntry& entry = found->second;
  if (entry.loaded.contains(version)) return absl::OkStatus();
  if (!entry.on_disk.contains(version)) {
    std::vector<int64_t> there;
    for (const auto& [number, files] : entry.on_disk) there.push_back(number);
    return absl::NotFoundError(absl::StrCat("model \"", model,
                                            "\" has no version ", version,
                                            "; on disk: ", Numbers(there)));
  }
  const auto attempt = entry.attempts.find(version);
  if (attempt != entry.attempts.end() && IsRefusal(attempt->second.result)) {
    return absl::FailedPreconditionError(
        absl::StrCat("version ", version, " of model \"", model,
                     "\" is refused: ", attempt->second.reason.message()));
  }
  return absl::OkStatus();
}

absl::Status ModelRegistry::SetPin(const std::string& model,
                                   std::optional<int64_t> pin) {
  if (!options_.state_dir.empty()) {
    Pins pins;
    {
      absl::MutexLock lock(&mu_);
      for (const auto& [name, entry] : models_) {
        if (entry.pinned) pins[name] = *entry.pinned;
      }
    }
    pins.erase(model);
    if (pin) pins[model] = *pin;
    if (auto status = WritePins(options_.state_dir, pins); !status.ok()) {
      return status;
    }
  }
  std::shared_ptr<const ServableVersion> live;  // Null: unchanged.
  {
    absl::MutexLock lock(&mu_);
    ModelEntry& entry = models_[model];
    entry.pinned = pin;
    if (pin && entry.live != pin && entry.loaded.contains(*pin)) {
      live = SetLive(entry, *pin);
    }
  }
  observer_->OnPin(model, pin);
  if (live != nullptr) {
    observer_->OnLiveVersion(live->identity, live->loaded_at);
  }
  notifier_.Notify();
  Wake();
  return absl::OkStatus();
}

bool ModelRegistry::AnyLive() const {
  absl::MutexLock lock(&mu_);
  return std::any_of(models_.begin(), models_.end(), [](const auto& model) {
    return model.second.live.has_value();
  });
}

std::vector<std::shared_ptr<const ServableVersion>>
ModelRegistry::LoadedVersions() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<const ServableVersion>> versions;
  for (const auto& [model, entry] : models_) {
    for (const auto& [version, loaded] : entry.loaded) {
      versions.push_back(loaded.version);
    }
  }
  return versions;
}

bool ModelRegistry::Rescan(const std::string& model) {
  const absl::StatusOr<std::vector<VersionOnDisk>> versions =
      source_->ListVersions(model);
  if (!versions.ok() && !absl::IsNotFound(versions.status())) return false;
  const absl::Time now = clock_->Now();
  bool changed = false;
  {
    absl::MutexLock lock(&mu_);
    ModelEntry& entry = models_[model];
    std::map<int64_t, VersionFiles> on_disk;
    if (versions.ok()) {
      for (const VersionOnDisk& version : *versions) {
        on_disk[version.version] = version.files;
      }
    }
    changed = on_disk != entry.on_disk;
    entry.on_disk = std::move(on_disk);
    std::erase_if(entry.attempts, [&](const auto& attempt) {
      return !entry.on_disk.contains(attempt.first);
    });
    for (auto& [version, attempt] : entry.attempts) {
      if (attempt.files == entry.on_disk.at(version)) continue;
      // Perhaps somebody writes into them just now: not at once, and once a
      // while at most.
      attempt.files = entry.on_disk.at(version);
      attempt.retry_at = std::min(attempt.retry_at, now + kFirstRetry);
      attempt.failures = 0;
    }
  }
  if (changed) notifier_.Notify();
  return true;
}

absl::Time ModelRegistry::ReconcileModel(const std::string& model) {
  while (true) {
    if (!Rescan(model)) return clock_->Now() + kFirstRetry;
    const std::optional<LifecycleAction> action = SwapOrUnload(model);
    if (!action) continue;
    switch (action->kind) {
      case LifecycleAction::Kind::kLoad:
        Load(model, action->version);
        break;
      case LifecycleAction::Kind::kNoRoom:
        RefuseForMemory(model, action->version);
        break;
      default:
        ReportRefusals(model);
        return action->look_again;
    }
  }
}

std::optional<LifecycleAction> ModelRegistry::SwapOrUnload(
    const std::string& model) {
  absl::MutexLock changes_lock(&changes_mu_);
  LifecycleAction action;
  std::shared_ptr<const ServableVersion> version;
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return LifecycleAction();
    ModelEntry& entry = models_[model];
    action = NextLifecycleAction(Facts(entry));
    if (action.kind == LifecycleAction::Kind::kMakeLive) {
      version = SetLive(entry, action.version);
    } else if (action.kind == LifecycleAction::Kind::kUnload) {
      version = std::move(entry.loaded.at(action.version).version);
      entry.loaded.erase(action.version);
      draining_.push_back({version->bytes, version.get()});
    } else {
      return action;
    }
  }
  if (action.kind == LifecycleAction::Kind::kMakeLive) {
    observer_->OnLiveVersion(version->identity, version->loaded_at);
  } else {
    version.reset();
    FreeVersions();
  }
  notifier_.Notify();
  return std::nullopt;
}

std::shared_ptr<const ServableVersion> ModelRegistry::SetLive(ModelEntry& entry,
                                                              int64_t version) {
  Loaded& loaded = entry.loaded.at(version);
  entry.live = version;
  loaded.last_live = ++live_count_;
  return loaded.version;
}

void ModelRegistry::RefuseForMemory(const std::string& model, int64_t version) {
  VersionFiles files;
  int64_t free_bytes = 0;
  {
    absl::MutexLock lock(&mu_);
    const ModelEntry& entry = models_[model];
    files = entry.on_disk.at(version);
    free_bytes = Facts(entry).free_bytes;
  }
  Refuse(model, version, files,
         {ReloadResult::kNoMemory,
          absl::ResourceExhaustedError(absl::StrCat(
              "needs about ", EstimatedBytes(files) >> 20, " MiB; ",
              std::max<int64_t>(free_bytes, 0) >> 20, " of the ",
              options_.max_model_bytes >> 20, " MiB for models are free"))},
         clock_->Now());
}

ModelFacts ModelRegistry::Facts(const ModelEntry& entry) const {
  ModelFacts facts;
  facts.live = entry.live;
  facts.pinned = entry.pinned;
  facts.keep_versions = options_.keep_versions;
  facts.now = clock_->Now();
  facts.free_bytes = options_.max_model_bytes;
  for (const auto& [name, other] : models_) {
    for (const auto& [version, loaded] : other.loaded) {
      facts.free_bytes -= loaded.version->bytes;
    }
  }
  for (const Draining& draining : draining_) {
    facts.free_bytes -= draining.bytes;
    facts.draining_bytes += draining.bytes;
  }
  std::set<int64_t> numbers;
  for (const auto& [version, files] : entry.on_disk) numbers.insert(version);
  for (const auto& [version, loaded] : entry.loaded) numbers.insert(version);
  for (int64_t number : numbers) {
    VersionFacts version;
    version.version = number;
    if (const auto found = entry.on_disk.find(number);
        found != entry.on_disk.end()) {
      version.on_disk = true;
      version.bytes = EstimatedBytes(found->second);
    }
    if (const auto found = entry.attempts.find(number);
        found != entry.attempts.end()) {
      version.retry_at = found->second.retry_at;
    }
    if (const auto found = entry.loaded.find(number);
        found != entry.loaded.end()) {
      version.loaded = true;
      version.bytes = found->second.version->bytes;
      version.last_live = found->second.last_live;
    }
    facts.versions.push_back(version);
  }
  return facts;
}

void ModelRegistry::Load(const std::string& model, int64_t version) {
  const absl::Time start = clock_->Now();
  std::shared_ptr<const ServableVersion> live;
  {
    absl::MutexLock lock(&mu_);
    ModelEntry& entry = models_[model];
    entry.loading = version;
    if (entry.live) live = entry.loaded.at(*entry.live).version;
  }
  notifier_.Notify();
  const VersionFiles files = source_->Examine(model, version);
  absl::StatusOr<ServableVersion> loaded = source_->Load(model, version);
  if (loaded.ok() && source_->Examine(model, version) != files) {
    // Sound as it is, but nobody can say whether it is what lies there now.
    loaded = absl::AbortedError("its files changed while they were read");
  }
  if (!loaded.ok()) {
    Refuse(model, version, files,
           {ResultOfRead(loaded.status()), loaded.status()}, start);
    return;
  }
  observer_->OnReloadPhase(ReloadPhase::kRead, clock_->Now() - start);
  const Trial trial = try_out_(*loaded, live.get());
  live.reset();
  if (trial.result != ReloadResult::kLive) {
    Refuse(model, version, files, trial, start);
    return;
  }
  loaded->loaded_at = clock_->Now();
  const ModelIdentity identity = loaded->identity;
  {
    absl::MutexLock lock(&mu_);
    ModelEntry& entry = models_[model];
    entry.loading.reset();
    entry.attempts.erase(version);
    entry.loaded[version] = {graveyard_->Share(*std::move(loaded)), files,
                             /*last_live=*/0};
  }
  observer_->OnReload(identity, ReloadResult::kLive, absl::OkStatus(),
                      clock_->Now() - start);
  notifier_.Notify();
}

void ModelRegistry::Refuse(const std::string& model, int64_t version,
                           const VersionFiles& files, const Trial& why,
                           absl::Time start) {
  const VersionFiles files_now = source_->Examine(model, version);
  const absl::Time now = clock_->Now();
  {
    absl::MutexLock lock(&mu_);
    ModelEntry& entry = models_[model];
    entry.loading.reset();
    Attempt& attempt = entry.attempts[version];
    attempt.failures = attempt.files == files ? attempt.failures + 1 : 1;
    attempt.files = files_now;
    attempt.result = why.result;
    attempt.reason = why.reason;
    attempt.retry_at =
        now + (files_now == files ? RetryAfter(why.result, attempt.failures)
                                  : kFirstRetry);
  }
  observer_->OnReload({model, version, /*digest=*/""}, why.result, why.reason,
                      now - start);
  notifier_.Notify();
}

void ModelRegistry::FreeVersions() {
  const auto freed = graveyard_->Take();
  if (freed.empty()) return;
  std::vector<ModelIdentity> unloaded;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& version : freed) {
      std::erase_if(draining_, [&](const Draining& draining) {
        return draining.address == version.get();
      });
      const ModelIdentity& identity = version->identity;
      const auto entry = models_.find(identity.model);
      // Rolled back to while it drained, it is loaded a second time.
      if (entry == models_.end() ||
          !entry->second.loaded.contains(identity.version)) {
        unloaded.push_back(identity);
      }
    }
  }
  for (const ModelIdentity& identity : unloaded) {
    observer_->OnUnloaded(identity);
  }
}

void ModelRegistry::ReportRefusals(const std::string& model) {
  std::array<int, kNumReloadResults> count = {};
  {
    absl::MutexLock lock(&mu_);
    ModelEntry& entry = models_[model];
    for (const auto& [version, attempt] : entry.attempts) {
      if (!IsRefusal(attempt.result)) continue;
      ++count[static_cast<size_t>(attempt.result)];
    }
    if (count == entry.reported_refusals) return;
    entry.reported_refusals = count;
  }
  observer_->OnRefusedVersions(model, count);
}

void ModelRegistry::Wake() {
  std::function<void()> wake;
  {
    absl::MutexLock lock(&mu_);
    wake = wake_;
  }
  if (wake != nullptr) wake();
}

std::vector<std::string> ModelRegistry::LiveModelNames() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : models_) {
    if (entry.live) names.push_back(name);
  }
  return names;
}

}  // namespace ddgan
