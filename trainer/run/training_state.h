// What a run needs to go on exactly where it was: its networks, optimisers, the
// average and the step number. Random draws and data order are functions
// of (seed, step), so they need no state. One safetensors file, the trainer's
// own; servers never read it. Its metadata has a digest of all its bytes.
#ifndef DDGAN_TRAINER_RUN_TRAINING_STATE_H_
#define DDGAN_TRAINER_RUN_TRAINING_STATE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/model/generator_plan.h"
#include "trainer/distributed/process_group.h"
#include "trainer/step/training_step.h"

namespace ddgan {

// Which run a state is of.
struct StateIdentity {
  std::string fingerprint;  // RunFingerprint
  int64_t samples = 0;      // Of the data set, >= 1.
};

// Every tensor of a state under its name in the file, float32 on the training
// device. The average must be defined.
std::vector<std::pair<std::string, at::Tensor>> TrainingStateTensors(
    const TrainingStep& training);

// Writes <folder>/<StateFileName(steps_done)>.
absl::Status SaveTrainingState(const std::filesystem::path& folder,
                               const TrainingStep& training, int64_t steps_done,
                               const StateIdentity& identity);

// Restores the state after `steps_done` steps into `training`, which is as
// before on an error.
//   DataLoss         damaged, of an earlier trainer, or no training state
//   InvalidArgument  of a run with another identity, names what differs; or no
//                    regular file
//   the file system's errors, with the path
absl::Status LoadTrainingState(const std::filesystem::path& folder,
                               int64_t steps_done,
                               const StateIdentity& identity,
                               TrainingStep& training);

// Every process goes on from what the first one has: its steps done, and its
// state after them. Before the first step only drawn or loaded weights can
// differ. A collective; errors as ProcessGroup::BroadcastFromFirst.
absl::Status ShareTrainingState(ProcessGroup& group, TrainingStep& training,
                                int64_t* steps_done);

// The generator's averaged weights as the bytes of model.safetensors, under the
// names of `plan`, with the run's configuration as "training_config" in the
// file's metadata.
absl::StatusOr<std::string> SerializeEmaWeights(
    const TrainingStep& training, const std::vector<ParameterPlan>& plan,
    const std::string& training_config);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_TRAINING_STATE_H_
