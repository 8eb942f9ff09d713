// From the options of a run to what its training step is made of.
#ifndef DDGAN_TRAINER_STEP_STEP_OPTIONS_H_
#define DDGAN_TRAINER_STEP_STEP_OPTIONS_H_

#include "trainer/networks/networks.h"
#include "trainer/options/trainer_options.h"
#include "trainer/step/training_step.h"

namespace ddgan {

// The options are valid (ValidateTrainerOptions). Images of at least 64 pixels
// have the large discriminator, smaller ones the small one.
NetworksConfig NetworksOf(const TrainerOptions& options);

// Of tf32 the step itself knows nothing: kTf32 is a setting of LibTorch.
TrainingOptions StepOptionsOf(const TrainerOptions& options);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_STEP_OPTIONS_H_
