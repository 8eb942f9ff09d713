#include "trainer/run/version_publisher.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/folder.h"
#include "engine/base/sha256.h"
#include "engine/checkpoint/safetensors.h"

namespace ddgan {
namespace {

// Whatever their metadata: that has the options of the run, some of which may
// change when it is resumed.
bool HaveSameTensors(std::string_view file, std::string_view other) {
  const absl::StatusOr<SafetensorsView> a = ParseSafetensors(file);
  const absl::StatusOr<SafetensorsView> b = ParseSafetensors(other);
  return a.ok() && b.ok() && a->tensors == b->tensors;
}

}  // namespace

absl::StatusOr<std::unique_ptr<VersionPublisher>> VersionPublisher::Open(
    const Options& options, const std::filesystem::path& list,
    int64_t steps_done, Clock* clock, TrainingReporter* reporter) {
  absl::StatusOr<PublishedVersions> versions = PublishedVersions::Load(list);
  if (!versions.ok()) return versions.status();
  // They are those of a run whose states are gone.
  if (steps_done == 0) versions->Forget();
  const std::vector<int64_t> published = versions->versions();
  reporter->OnResumed(steps_done, published.empty()
                                      ? std::nullopt
                                      : std::optional(published.back()));
  std::unique_ptr<VersionPublisher> publisher(
      new VersionPublisher(options, *std::move(versions), clock, reporter));
  // Or else the process that saved this state ended before it published.
  if (std::binary_search(published.begin(), published.end(),
                         options.first_version + steps_done))
    publisher->published_ = steps_done;
  return publisher;
}

VersionPublisher::VersionPublisher(const Options& options,
                                   PublishedVersions versions, Clock* clock,
                                   TrainingReporter* reporter)
    : options_(options),
      clock_(clock),
      reporter_(reporter),
      versions_(std::move(versions)),
      last_publish_(clock->Now()) {}

bool VersionPublisher::IsDue(int64_t steps_done) const {
  return PublishIsDue(options_.intervals, steps_done,
                      clock_->Now() - last_publish_);
}

absl::Status VersionPublisher::Publish(
    int64_t steps_done,
    absl::FunctionRef<absl::StatusOr<std::string>()> weights) {
  if (published_ == steps_done) return absl::OkStatus();
  // Also when it fails: the next try is at the next interval.
  last_publish_ = clock_->Now();
  const int64_t version = options_.first_version + steps_done;
  const absl::StatusOr<Publication> done = PublishVersion(version, weights);
  reporter_->OnPublish(done.ok() ? done->result : PublishResult::kFailed,
                       version, last_publish_);
  if (!done.ok()) return done.status();
  reporter_->Print(
      done->result == PublishResult::kPresent
          ? absl::StrCat("version ", version, " is published already",
                         done->other_weights
                             ? ", with other weights: those that an earlier "
                               "attempt at this step had"
                             : "")
          : absl::StrCat("published ", options_.model_root.string(), "/",
                         options_.config.model, "/", version));
  if (absl::Status status = versions_.Add(version, done->digest); !status.ok())
    return status;
  published_ = steps_done;
  return RemoveOldVersions();
}

absl::StatusOr<VersionPublisher::Publication> VersionPublisher::PublishVersion(
    int64_t version,
    absl::FunctionRef<absl::StatusOr<std::string>()> weights) const {
  const absl::StatusOr<std::string> bytes = weights();
  if (!bytes.ok()) return bytes.status();
  CheckpointConfig config = options_.config;
  config.training_step = version;
  config.created = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", last_publish_,
                                    absl::UTCTimeZone());
  const absl::StatusOr<ModelIdentity> identity = PublishCheckpoint(
      options_.model_root, version, config, *bytes, options_.readers);
  if (identity.ok()) {
    return Publication{PublishResult::kPublished, identity->digest};
  }
  if (!absl::IsAlreadyExists(identity.status())) return identity.status();
  // A run resumed from an older state comes past versions that it published
  // before.
  absl::StatusOr<Publication> own = OwnVersion(version, *bytes);
  if (!own.ok()) {
    return absl::Status(own.status().code(),
                        absl::StrCat(identity.status().message(), " and ",
                                     own.status().message()));
  }
  return own;
}

absl::StatusOr<VersionPublisher::Publication> VersionPublisher::OwnVersion(
    int64_t version, std::string_view weights) const {
  absl::StatusOr<Folder> folder =
      Folder::Open(options_.model_root / options_.config.model);
  if (folder.ok()) folder = folder->OpenFolder(absl::StrCat(version));
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<std::string> manifest =
      folder->ReadFile(kManifestFileName, kMaxJsonBytes);
  if (!manifest.ok()) {
    return absl::Status(
        manifest.status().code(),
        absl::StrCat("its manifest ", manifest.status().message()));
  }
  const absl::StatusOr<std::string> there =
      folder->ReadFile(kWeightsFileName, weights.size() + kMaxJsonBytes);
  Publication own = {PublishResult::kPresent, Sha256Hex(*manifest)};
  own.other_weights = !there.ok() || !HaveSameTensors(*there, weights);
  const std::vector<int64_t> published = versions_.versions();
  if (std::binary_search(published.begin(), published.end(), version) &&
      versions_.digest(version) == own.digest) {
    return own;
  }
  // The run may have ended before it noted the version.
  if (!own.other_weights) return own;
  return absl::FailedPreconditionError(
      "is not of this run: move it away, or give another --out and this run's "
      "folder as --run_dir");
}

absl::Status VersionPublisher::RemoveOldVersions() {
  for (const int64_t version :
       VersionsToRemove(versions_.versions(), options_.retention)) {
    const absl::Status removed = RemoveCheckpoint(
        options_.model_root,
        {options_.config.model, version, versions_.digest(version)});
    if (!removed.ok() && !absl::IsNotFound(removed)) {
      reporter_->Print(
          absl::StrCat("version ", version, ": ", removed.message()));
    }
    // What is gone or somebody else's by now is not tried again.
    if (removed.ok() || absl::IsNotFound(removed) ||
        absl::IsFailedPrecondition(removed)) {
      if (absl::Status status = versions_.Remove(version); !status.ok())
        return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace ddgan
