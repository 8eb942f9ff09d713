#include "trainer/run/saved_states.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "trainer/run/state_files.h"

namespace ddgan {

absl::StatusOr<int64_t> SavedStates::Resume(ResumePolicy policy,
                                            TrainingStep& training) {
  const absl::StatusOr<std::vector<int64_t>> states = ListStates(folder_);
  if (!states.ok()) return states.status();
  if (states->empty()) return 0;
  const auto path = [this](int64_t state) {
    return (folder_ / StateFileName(state)).string();
  };
  if (policy == ResumePolicy::kNever) {
    return absl::FailedPreconditionError(
        absl::StrCat(path(states->front()),
                     " is there and --resume=never: remove it, or choose "
                     "another --run_dir"));
  }
  absl::Status status;
  std::vector<int64_t> damaged;
  for (const int64_t state : *states) {
    status = LoadTrainingState(folder_, state, identity_, training);
    if (status.ok()) {
      last_ = state;
      reporter_->Print(
          absl::StrCat("resumed after step ", state, " from ", path(state)));
      break;
    }
    // Only damage is a reason to go further back.
    if (!absl::IsDataLoss(status)) return status;
    reporter_->Print(
        absl::StrCat(status.message(), "; looking for an older state"));
    damaged.push_back(state);
  }
  if (!status.ok()) return status;
  for (const int64_t state : damaged) {
    if (absl::Status aside = SetStateAside(folder_, state); !aside.ok())
      return aside;
  }
  return last_;
}

absl::Status SavedStates::Save(const TrainingStep& training,
                               int64_t steps_done) {
  if (last_ == steps_done) return absl::OkStatus();
  const absl::Time begin = clock_->Now();
  // No state may be ahead of its lines in the log.
  if (absl::Status status = reporter_->SyncLog(); !status.ok()) return status;
  if (absl::Status status =
          SaveTrainingState(folder_, training, steps_done, identity_);
      !status.ok()) {
    return status;
  }
  last_ = steps_done;
  reporter_->OnStateSaved(clock_->Now() - begin);
  return RemoveOldStates(folder_);
}

}  // namespace ddgan
