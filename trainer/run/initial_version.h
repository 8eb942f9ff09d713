// The published version that a run starts its generator from (--init_from).
#ifndef DDGAN_TRAINER_RUN_INITIAL_VERSION_H_
#define DDGAN_TRAINER_RUN_INITIAL_VERSION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trainer/options/trainer_options.h"
#include "trainer/step/training_step.h"

namespace ddgan {

// Its number, from which the run's versions count on; 0 if the generator starts
// from drawn weights. The version need not be there any more. InvalidArgument
// for a path that is none of a version.
absl::StatusOr<int64_t> InitialVersion(const TrainerOptions& options);

// Copies its weights, which options.init_from names, into the generator. It may
// have had another objective or sampler.
// InvalidArgument if it is of another architecture; else fails as
// ReadCheckpoint does. Throws as LoadParameters does.
absl::Status LoadInitialVersion(const TrainerOptions& options,
                                TrainingStep& training);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_INITIAL_VERSION_H_
