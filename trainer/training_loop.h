// A whole run: batches in, progress lines, sample grids, saved states and
// published versions out.
#ifndef DDGAN_TRAINER_TRAINING_LOOP_H_
#define DDGAN_TRAINER_TRAINING_LOOP_H_

#include <atomic>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "engine/clock.h"
#include "trainer/dataset/image_dataset.h"
#include "trainer/trainer_options.h"

namespace ddgan {

// Called with lines for a person. From the training thread.
using Report = std::function<void(const std::string& line)>;

// Trains until the last step or until `stop` is set, which is looked at between
// steps; in both cases saves the state, and publishes the weights if the run
// has made a step since the last version. After each version it removes those
// of its own that options.keep_published lets go; what cannot be removed is
// reported and stops nothing. `clock` says when a version is due by time.
// Blocks.
//   InvalidArgument     options that do not fit the data set or the saved state
//   FailedPrecondition  a state is there and options.resume is kNever
//   DataLoss            the saved state, the list of published versions, or
//                       every image of a batch, is damaged
//   Internal            a loss is not finite: the last saved state is kept
//   the file system's errors, with the path
absl::Status RunTraining(const TrainerOptions& options,
                         const ImageDataset& dataset,
                         const std::atomic<bool>& stop, Clock* clock,
                         const Report& report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_TRAINING_LOOP_H_
