// What a run needs to go on exactly where it was: both networks, optimisers,
// the average and the step number. Random draws and data order are functions
// of (seed, step), so they need no state. One safetensors file, the trainer's
// own; servers never read it.
#ifndef DDGAN_TRAINER_TRAINING_STATE_H_
#define DDGAN_TRAINER_TRAINING_STATE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/model/generator_plan.h"
#include "trainer/training_step.h"

namespace ddgan {

// Every tensor of a state under its name in the file, float32 on the training
// device. The average must be defined.
std::vector<std::pair<std::string, at::Tensor>> TrainingStateTensors(
    const TrainingStep& training);

// `fingerprint` says which run this is (RunFingerprint).
absl::Status SaveTrainingState(const std::filesystem::path& path,
                               const TrainingStep& training, int64_t steps_done,
                               const std::string& fingerprint);

// Restores into `training` and returns the steps done.
//   NotFound         no such file
//   DataLoss         damaged or not a training state
//   InvalidArgument  of a run with another fingerprint; names what differs
absl::StatusOr<int64_t> LoadTrainingState(const std::filesystem::path& path,
                                          const std::string& fingerprint,
                                          TrainingStep& training);

// The generator's averaged weights as the bytes of model.safetensors, under the
// names of `plan`, with the run's configuration as "training_config" in the
// file's metadata.
absl::StatusOr<std::string> SerializeEmaWeights(
    const TrainingStep& training, const std::vector<ParameterPlan>& plan,
    const std::string& training_config);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_TRAINING_STATE_H_
