// The training states of a run folder: goes on from the newest that is whole,
// saves the next, keeps two.
#ifndef DDGAN_TRAINER_RUN_SAVED_STATES_H_
#define DDGAN_TRAINER_RUN_SAVED_STATES_H_

#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/clock.h"
#include "trainer/options/trainer_options.h"
#include "trainer/run/training_reporter.h"
#include "trainer/run/training_state.h"
#include "trainer/step/training_step.h"

namespace ddgan {

// Thread-compatible.
class SavedStates {
 public:
  // Both pointers outlive this.
  SavedStates(std::filesystem::path folder, StateIdentity identity,
              Clock* clock, TrainingReporter* reporter)
      : folder_(std::move(folder)),
        identity_(std::move(identity)),
        clock_(clock),
        reporter_(reporter) {}

  // Restores the newest state that is whole into `training` and returns its
  // steps; 0, and nothing is changed, if the folder has no state. Damaged ones
  // that are newer are reported and set aside.
  //   FailedPrecondition  there is a state and `policy` is kNever
  //   DataLoss            all states are damaged; they stay where they are
  //   LoadTrainingState's other errors, and the file system's
  absl::StatusOr<int64_t> Resume(ResumePolicy policy, TrainingStep& training);

  // Saves the state after `steps_done` steps, unless that was done before, and
  // removes the states that are too old. What the log has by then is synced
  // first. The file system's error.
  absl::Status Save(const TrainingStep& training, int64_t steps_done);

  // Steps of the last state that was restored or saved; 0: none.
  int64_t last() const { return last_; }

 private:
  const std::filesystem::path folder_;
  const StateIdentity identity_;
  Clock* const clock_;
  TrainingReporter* const reporter_;
  int64_t last_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_SAVED_STATES_H_
