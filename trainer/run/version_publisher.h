// The versions that a run publishes: when one is due, what its config says,
// which of the old ones go. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_VERSION_PUBLISHER_H_
#define DDGAN_TRAINER_RUN_VERSION_PUBLISHER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/base/clock.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "trainer/run/checkpoint_publisher.h"
#include "trainer/run/publish_policy.h"
#include "trainer/run/published_versions.h"
#include "trainer/run/training_reporter.h"

namespace ddgan {

// Thread-compatible.
class VersionPublisher {
 public:
  struct Options {
    std::filesystem::path model_root;
    // Of every version, but for training_step and created.
    CheckpointConfig config;
    Readers readers = Readers::kServers;
    // A version's number is this plus the steps of the run. >= 0
    int64_t first_version = 0;
    PublishIntervals intervals;
    Retention retention;
  };

  // For a run that goes on after `steps_done` steps and whose list of published
  // versions is the file `list`; that of one that begins, at 0, is empty, and
  // versions that an earlier run in its folder published are another's. Reports
  // the run as resumed. Both pointers outlive this. Errors as
  // PublishedVersions::Load.
  static absl::StatusOr<std::unique_ptr<VersionPublisher>> Open(
      const Options& options, const std::filesystem::path& list,
      int64_t steps_done, Clock* clock, TrainingReporter* reporter);

  // Whether to publish after `steps_done` steps.
  bool IsDue(int64_t steps_done) const;

  // Publishes the weights after `steps_done` steps, unless that was done
  // before, and removes the versions that options.retention lets go. `weights`
  // gives the bytes of model.safetensors; it is called at most once. A version
  // that cannot be removed is reported and is no error.
  //   FailedPrecondition  that version is there, and another run's
  //   errors of `weights`, of PublishCheckpoint and of PublishedVersions
  absl::Status Publish(
      int64_t steps_done,
      absl::FunctionRef<absl::StatusOr<std::string>()> weights);

 private:
  VersionPublisher(const Options& options, PublishedVersions versions,
                   Clock* clock, TrainingReporter* reporter);

  struct Publication {
    PublishResult result;
    std::string digest;          // Of the version's manifest.
    bool other_weights = false;  // The version that was there has others.
  };
  absl::StatusOr<Publication> PublishVersion(
      int64_t version,
      absl::FunctionRef<absl::StatusOr<std::string>()> weights) const;
  // A version that is there, if it is this run's: in its list, or of the same
  // tensors. FailedPrecondition if not; the file system's error. Messages fit
  // behind the version's name.
  absl::StatusOr<Publication> OwnVersion(int64_t version,
                                         std::string_view weights) const;
  absl::Status RemoveOldVersions();

  const Options options_;
  Clock* const clock_;
  TrainingReporter* const reporter_;
  PublishedVersions versions_;
  int64_t published_ = 0;    // Steps done at the last one; 0: none.
  absl::Time last_publish_;  // The last attempt, or the start.
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_VERSION_PUBLISHER_H_
