#include "engine/versions/model_versions.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {
namespace {

// Until its files change, for a version that only this can mend.
absl::Duration RetryAfter(ReloadResult result, int failures) {
  switch (result) {
    case ReloadResult::kStep:
      return RetryDelay(failures, ModelVersions::kFirstStepRetry,
                        ModelVersions::kLongestStepRetry);
    case ReloadResult::kNoMemory:
    case ReloadResult::kError:
      return RetryDelay(failures, ModelVersions::kFirstRetry,
                        ModelVersions::kLongestRetry);
    default:
      return absl::InfiniteDuration();
  }
}

bool IsRefusal(ReloadResult result) {
  return result != ReloadResult::kNoMemory && result != ReloadResult::kError;
}

// Before anybody has loaded it: the file is there while its tensors are made.
int64_t EstimatedBytes(const VersionFiles& files) {
  // A size that no version may have is refused when it is read.
  return 2 *
         static_cast<int64_t>(std::min(files.weights_bytes, kMaxWeightsBytes));
}

}  // namespace

bool ModelVersions::SetOnDisk(std::map<int64_t, VersionFiles> on_disk,
                              absl::Time now) {
  const bool changed = on_disk != on_disk_;
  on_disk_ = std::move(on_disk);
  std::erase_if(attempts_, [&](const auto& attempt) {
    return !on_disk_.contains(attempt.first);
  });
  for (auto& [version, attempt] : attempts_) {
    if (attempt.files == on_disk_.at(version)) continue;
    // Perhaps somebody is writing them: not at once, and once a while at most.
    attempt.files = on_disk_.at(version);
    attempt.bytes = 0;
    attempt.retry_at = std::min(attempt.retry_at, now + kFirstRetry);
    attempt.failures = 0;
  }
  return changed;
}

void ModelVersions::AddLoaded(Handle version, const VersionFiles& files) {
  loading_.reset();
  const int64_t number = version->identity.version;
  attempts_.erase(number);
  loaded_[number] = {std::move(version), files, /*last_live=*/0};
}

void ModelVersions::Refuse(int64_t version, const VersionFiles& files,
                           const VersionFiles& files_now,
                           const VersionVerdict& verdict, absl::Time now) {
  loading_.reset();
  Attempt& attempt = attempts_[version];
  const bool same_files = attempt.files == files;
  attempt.failures = same_files ? attempt.failures + 1 : 1;
  if (verdict.bytes > 0 || !same_files) attempt.bytes = verdict.bytes;
  if (files_now != files) attempt.bytes = 0;
  attempt.files = files_now;
  attempt.verdict = verdict;
  attempt.retry_at =
      now + (files_now == files ? RetryAfter(verdict.result, attempt.failures)
                                : kFirstRetry);
}

ModelVersions::Handle ModelVersions::MakeLive(int64_t version) {
  Loaded& loaded = loaded_.at(version);
  live_ = version;
  loaded.last_live = ++live_count_;
  // Those that were too far from the version before may be near this one.
  for (auto& [number, attempt] : attempts_) {
    if (attempt.verdict.result == ReloadResult::kCanary) {
      attempt.retry_at = absl::InfinitePast();
    }
  }
  return loaded.version;
}

ModelVersions::Handle ModelVersions::Unload(int64_t version) {
  Handle handle = std::move(loaded_.at(version).version);
  loaded_.erase(version);
  return handle;
}

ModelVersions::Handle ModelVersions::live() const {
  return live_ ? loaded_.at(*live_).version : nullptr;
}

ModelVersions::Handle ModelVersions::FindLoaded(int64_t version) const {
  const auto found = loaded_.find(version);
  return found == loaded_.end() ? nullptr : found->second.version;
}

std::vector<ModelVersions::Handle> ModelVersions::loaded() const {
  std::vector<Handle> versions;
  for (const auto& [number, loaded] : loaded_) {
    versions.push_back(loaded.version);
  }
  return versions;
}

std::vector<int64_t> ModelVersions::Numbers() const {
  std::set<int64_t> numbers;
  for (const auto& [version, files] : on_disk_) numbers.insert(version);
  for (const auto& [version, loaded] : loaded_) numbers.insert(version);
  return {numbers.begin(), numbers.end()};
}

bool ModelVersions::SetWaitingForRoom(std::optional<int64_t> version) {
  return std::exchange(waiting_for_room_, version) != version;
}

int64_t ModelVersions::BytesOf(int64_t version) const {
  if (const auto found = loaded_.find(version); found != loaded_.end()) {
    return found->second.version->bytes;
  }
  if (const auto found = attempts_.find(version);
      found != attempts_.end() && found->second.bytes > 0) {
    return found->second.bytes;
  }
  const auto found = on_disk_.find(version);
  return found == on_disk_.end() ? 0 : EstimatedBytes(found->second);
}

void ModelVersions::AddFacts(ModelFacts* facts) const {
  facts->live = live_;
  facts->pinned = pinned_;
  for (int64_t number : Numbers()) {
    VersionFacts version;
    version.version = number;
    if (on_disk_.contains(number)) {
      version.on_disk = true;
    }
    version.bytes = BytesOf(number);
    if (const auto found = attempts_.find(number); found != attempts_.end()) {
      version.retry_at = found->second.retry_at;
    }
    if (const auto found = loaded_.find(number); found != loaded_.end()) {
      version.loaded = true;
      version.last_live = found->second.last_live;
    }
    facts->versions.push_back(version);
  }
}

ModelStatus ModelVersions::Describe() const {
  ModelStatus status{.model = model_, .pinned = pinned_, .versions = {}};
  const std::vector<int64_t> numbers = Numbers();
  for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
    status.versions.push_back(DescribeVersion(*number));
  }
  return status;
}

ModelVersionStatus ModelVersions::DescribeVersion(int64_t version) const {
  ModelVersionStatus status;
  status.identity.model = model_;
  status.identity.version = version;
  if (const auto found = loaded_.find(version); found != loaded_.end()) {
    const ServableVersion& loaded = *found->second.version;
    status.identity = loaded.identity;
    status.state =
        live_ == version ? VersionState::kLive : VersionState::kLoaded;
    status.shape = loaded.shape;
    status.num_timesteps = loaded.num_timesteps;
    status.evaluations = loaded.evaluations;
    status.training_step = loaded.training_step;
    status.dataset = loaded.dataset;
    status.loaded_at = loaded.loaded_at;
    const auto on_disk = on_disk_.find(version);
    if (on_disk != on_disk_.end() && on_disk->second != found->second.files) {
      status.reason =
          "its files have changed since it was loaded, which nothing takes up: "
          "publish under a new number";
    }
    return status;
  }
  if (loading_ == version) {
    status.state = VersionState::kLoading;
    return status;
  }
  if (waiting_for_room_ == version) {
    status.state = VersionState::kWaiting;
    status.reason = "waits for the memory of versions that are still in use";
    return status;
  }
  status.state = VersionState::kOnDisk;
  if (const auto found = attempts_.find(version); found != attempts_.end()) {
    const VersionVerdict& verdict = found->second.verdict;
    status.state = IsRefusal(verdict.result) ? VersionState::kRefused
                                             : VersionState::kWaiting;
    status.reason = std::string(verdict.reason.message());
  }
  return status;
}

std::optional<std::array<int, kNumReloadResults>>
ModelVersions::ChangedRefusals() {
  std::array<int, kNumReloadResults> count = {};
  for (const auto& [version, attempt] : attempts_) {
    if (!IsRefusal(attempt.verdict.result)) continue;
    ++count[static_cast<size_t>(attempt.verdict.result)];
  }
  if (count == told_refusals_) return std::nullopt;
  told_refusals_ = count;
  return count;
}

absl::Status ModelVersions::CheckPinnable(int64_t version) const {
  if (loaded_.contains(version)) return absl::OkStatus();
  if (!on_disk_.contains(version)) {
    const std::string there =
        absl::StrJoin(on_disk_, ", ", [](std::string* out, const auto& entry) {
          absl::StrAppend(out, entry.first);
        });
    return absl::NotFoundError(
        absl::StrCat("model \"", model_, "\" has no version ", version,
                     "; on disk: ", there.empty() ? "none" : there));
  }
  const auto attempt = attempts_.find(version);
  if (attempt != attempts_.end() && IsRefusal(attempt->second.verdict.result) &&
      attempt->second.retry_at != absl::InfinitePast()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "version ", version, " of model \"", model_,
        "\" is refused: ", attempt->second.verdict.reason.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> ModelVersions::RollBackTarget() const {
  if (!live_) {
    return absl::NotFoundError(
        absl::StrCat("no model \"", model_, "\" is served"));
  }
  // One that has served before is known to be good; else one that nothing is
  // known against.
  std::optional<int64_t> target;
  for (const auto& [version, loaded] : loaded_) {
    if (version < *live_) target = version;
  }
  if (target) return *target;
  for (const auto& [version, files] : on_disk_) {
    const auto attempt = attempts_.find(version);
    if (attempt != attempts_.end() &&
        IsRefusal(attempt->second.verdict.result)) {
      continue;
    }
    if (version < *live_) target = version;
  }
  if (target) return *target;
  return absl::FailedPreconditionError(absl::StrCat(
      "model \"", model_, "\" has no sound version before ", *live_));
}

}  // namespace ddgan
