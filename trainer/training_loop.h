// A whole run: batches in, progress, metrics, sample pictures, saved states and
// published versions out.
#ifndef DDGAN_TRAINER_TRAINING_LOOP_H_
#define DDGAN_TRAINER_TRAINING_LOOP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "engine/base/clock.h"
#include "trainer/dataset/batch_source.h"
#include "trainer/distributed/process_group.h"
#include "trainer/options/trainer_options.h"
#include "trainer/run/progress_display.h"
#include "trainer/run/training_metrics.h"

namespace ddgan {

// What a run works with; all outlive it.
struct TrainingContext {
  // Gives this process's rows: those of its slots (RowsOfProcess).
  BatchSource* data;
  // Processes that train together. The first alone touches the run folder and
  // publishes; the others have its state from it.
  ProcessGroup* group;
  int local_rank = 0;  // Of this process on its machine; picks the GPU.
  Clock* clock;
  // Both of the first process; null in others.
  ProgressDisplay* display;
  TrainingMetrics* metrics;
};

// The last step of a run on so many samples per epoch.
int64_t TotalSteps(const TrainerOptions& options, size_t samples);

// Trains until the last step, for max_hours, or until `stop` is set in any
// process, which is looked at between steps; in each case saves the state, and
// publishes the weights if no version has them. All processes end with what
// came of that in the first one. After each version it removes those of its own
// that options.keep_published lets go. What cannot be saved, drawn, published
// or removed on the way is reported and stops nothing, so that a full disk
// costs no run; at the end it is an error. Images that cannot be read end the
// run before the step that wanted them, with the state saved. Blocks.
//   Cancelled           ended by `stop`, with all that belongs to an end done
//   InvalidArgument     options or data that do not fit each other, the saved
//                       state, or those of the other processes
//   FailedPrecondition  a state is there and options.resume is kNever
//   DataLoss            both saved states or the list of published versions is
//                       damaged, or no sample can be read
//   Unavailable, DeadlineExceeded  another process is gone, hangs, or cannot
//                       read its images
//   Internal            a loss or a weight is not finite: the last saved state
//                       is kept
//   the file system's and the data set's errors, with the path
absl::Status RunTraining(const TrainerOptions& options,
                         const TrainingContext& context,
                         const std::atomic<bool>& stop);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_TRAINING_LOOP_H_
