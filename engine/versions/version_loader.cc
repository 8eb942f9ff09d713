#include "engine/versions/version_loader.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ddgan {
namespace {

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

// A reason may quote what a hostile file holds, and goes to logs and callers.
absl::Status Shortened(const absl::Status& reason) {
  constexpr size_t kMaxBytes = 1000;
  const absl::string_view text = reason.message();
  if (text.size() <= kMaxBytes) return reason;
  size_t end = kMaxBytes;
  // Not within a character of UTF-8.
  while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80 && end > 0) {
    --end;
  }
  return absl::Status(reason.code(), absl::StrCat(text.substr(0, end), "..."));
}

}  // namespace

VersionLoader::VersionLoader(std::unique_ptr<VersionSource> source, Trial trial,
                             ModelRegistry* registry, EngineObserver* observer,
                             Clock* clock)
    : source_(std::move(source)),
      trial_(std::move(trial)),
      registry_(registry),
      observer_(observer),
      clock_(clock) {}

absl::StatusOr<absl::Time> VersionLoader::Reconcile() {
  const absl::StatusOr<std::vector<std::string>> on_disk =
      source_->ListModelNames();
  registry_->FreeVersions();
  if (!on_disk.ok()) return on_disk.status();
  registry_->SetStrays(source_->DescribeStrays());
  std::set<std::string> models(on_disk->begin(), on_disk->end());
  for (std::string& model : registry_->Models()) {
    models.insert(std::move(model));
  }
  absl::Time look_again = absl::InfiniteFuture();
  for (const std::string& model : models) {
    look_again = std::min(look_again, ReconcileModel(model));
  }
  registry_->ForgetEmpty();
  return look_again;
}

bool VersionLoader::Rescan(const std::string& model) {
  const absl::StatusOr<std::vector<VersionOnDisk>> versions =
      source_->ListVersions(model);
  if (!versions.ok() && !absl::IsNotFound(versions.status())) return false;
  std::map<int64_t, VersionFiles> on_disk;
  if (versions.ok()) {
    for (const VersionOnDisk& version : *versions) {
      on_disk[version.version] = version.files;
    }
  }
  registry_->SetOnDisk(model, std::move(on_disk), clock_->Now());
  return true;
}

absl::Time VersionLoader::ReconcileModel(const std::string& model) {
  while (!stopped_) {
    if (!Rescan(model)) return clock_->Now() + ModelVersions::kFirstRetry;
    const std::optional<LifecycleAction> action =
        registry_->Advance(model, clock_->Now());
    if (!action) continue;
    switch (action->kind) {
      case LifecycleAction::Kind::kLoad:
        Load(model, action->version);
        break;
      case LifecycleAction::Kind::kNoRoom: {
        const VersionFiles files = source_->Examine(model, action->version);
        const absl::Status room =
            registry_->CheckRoom(registry_->BytesOf(model, action->version));
        if (room.ok()) break;  // There is by now.
        Refuse(model, action->version, files, {ReloadResult::kNoMemory, room},
               clock_->Now());
        break;
      }
      default:
        registry_->ReportRefusals(model);
        return action->look_again;
    }
  }
  return absl::InfiniteFuture();
}

void VersionLoader::Load(const std::string& model, int64_t version) {
  const absl::Time start = clock_->Now();
  std::shared_ptr<const ServableVersion> live =
      registry_->BeginLoading(model, version);
  const VersionFiles files = source_->Examine(model, version);
  absl::StatusOr<ServableVersion> loaded =
      source_->Load(model, version, [this] { return stopped_.load(); });
  if (loaded.ok() && source_->Examine(model, version) != files) {
    // Sound as it is, but nobody can say whether it is what lies there now.
    loaded = absl::AbortedError("its files changed while they were read");
  }
  VersionVerdict verdict;
  if (loaded.ok()) {
    observer_->OnReloadPhase(ReloadPhase::kRead, clock_->Now() - start);
    // The file does not say what its layers take once they are made.
    const absl::Status room = registry_->CheckRoom(loaded->bytes);
    verdict = room.ok() ? trial_(*loaded, live.get())
                        : VersionVerdict{ReloadResult::kNoMemory, room,
                                         loaded->bytes};
  } else {
    verdict = {ResultOfRead(loaded.status()), loaded.status()};
  }
  verdict.reason = Shortened(verdict.reason);
  live.reset();
  if (verdict.result == ReloadResult::kLive) {
    loaded->loaded_at = clock_->Now();
    registry_->Publish(*std::move(loaded), files, clock_->Now() - start);
  } else if (stopped_) {
    // What the stop itself has ended speaks against no version.
    registry_->GiveUpLoading(model);
  } else {
    Refuse(model, version, files, verdict, start);
  }
}

void VersionLoader::Refuse(const std::string& model, int64_t version,
                           const VersionFiles& files,
                           const VersionVerdict& verdict, absl::Time start) {
  const absl::Time now = clock_->Now();
  registry_->Refuse(model, version, files, source_->Examine(model, version),
                    verdict, now, now - start);
}

}  // namespace ddgan
