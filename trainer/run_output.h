// What a run leaves on disk: states, pictures and a log in its folder, and the
// versions that it publishes.
#ifndef DDGAN_TRAINER_RUN_OUTPUT_H_
#define DDGAN_TRAINER_RUN_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/base/clock.h"
#include "engine/base/folder.h"
#include "trainer/networks/networks.h"
#include "trainer/options/trainer_options.h"
#include "trainer/run/saved_states.h"
#include "trainer/run/training_reporter.h"
#include "trainer/run/version_publisher.h"
#include "trainer/step/training_step.h"

namespace ddgan {

// Thread-compatible. Every function but NotFinite is for the first process
// alone, whose folder it is; Open comes first. `steps_done` are those of the
// run, >= 1. No weight that is not finite leaves the process: Internal.
class RunOutput {
 public:
  struct Source {
    const TrainerOptions& options;
    const NetworksConfig& networks;  // Of `training`.
    TrainingStep& training;
    ImageShape shape;           // Of a sample.
    size_t samples = 0;         // Of the data set.
    int64_t first_version = 0;  // InitialVersion of the options.
  };

  // All that is pointed at, or referred to by `source`, outlives this.
  RunOutput(const Source& source, Clock* clock, TrainingReporter* reporter);

  // Creates the folder where it is missing, restores the newest state, or the
  // version that options.init_from names where there is none, and opens the
  // log. Returns the steps of that state, or 0.
  //   Unavailable  another process has the folder; it is this one's as long as
  //                this lives, where the file system has locks
  //   errors of SavedStates::Resume, LoadInitialVersion, VersionPublisher::Open
  //   and MetricsLog::Open
  absl::StatusOr<int64_t> Open();

  // After a step: writes pictures, state and version, where each is due. What
  // cannot be written is reported and is no error, so that it costs no run.
  absl::Status KeepWhatIsDue(int64_t steps_done);

  // After the last step: writes all of them. Whatever fails, the rest is tried:
  // a disk that has no room for a picture may have it for a version. The first
  // error.
  absl::Status Finish(int64_t steps_done);

  // Saves the state, unless that was done. The file system's error.
  absl::Status Save(int64_t steps_done);

  // Internal, for `what` is not finite, with what is kept of the run.
  absl::Status NotFinite(int64_t steps_done, const std::string& what) const;

 private:
  // Before weights leave the process: a loss shows those of the step before.
  absl::Status CheckWeights(int64_t steps_done);
  absl::Status Publish(int64_t steps_done);
  absl::Status WriteSamples(int64_t steps_done);

  const Source source_;
  const std::filesystem::path folder_;
  Clock* const clock_;
  TrainingReporter* const reporter_;
  std::optional<Folder> locked_;  // From Open on.
  SavedStates states_;
  std::unique_ptr<VersionPublisher> publisher_;  // From Open on.
  // Steps done at the last of each, so that none is repeated.
  int64_t checked_ = 0;
  int64_t sampled_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_OUTPUT_H_
