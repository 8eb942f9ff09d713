// From a configuration's name or file and the flags to the options of a run. No
// LibTorch.
#ifndef DDGAN_TRAINER_OPTIONS_TRAINING_CONFIG_H_
#define DDGAN_TRAINER_OPTIONS_TRAINING_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/program_options.h"
#include "trainer/options/trainer_options.h"

namespace ddgan {

// The options of a run. Each is, in this order:
//   what the last of `flags` of its name says, from the command line, the
//   environment or a file of options
//   what the configuration says
//   for model, num_channels and networks: what goes with the data set
//   its default in TrainerOptions
// `config` is the name of a built-in configuration, or, if it has a '/' or ends
// in .json, the path of a file: a JSON object whose keys are names of flags,
// and "description" beside them; or empty for none. What goes with what is
// checked by ValidateTrainerOptions. Paths in a file are as on the command
// line.
//   InvalidArgument  unknown configuration, flag or key (names the nearest);
//                    wrong type or out of range; a file that is no JSON object,
//                    has a key twice or more than 64 KiB
//   the file system's errors, with the path
absl::StatusOr<TrainerOptions> ResolveOptions(
    const std::string& config, const std::vector<GivenOption>& flags);

// The options that a configuration's text gives: as ResolveOptions, without
// flags. `source` names the text in messages.
absl::StatusOr<TrainerOptions> ParseTrainingConfig(const std::string& json,
                                                   const std::string& source);

// The built-in configurations as lines of a table for a person: name, data set,
// shape of an image, T, parameters of the generator, description.
absl::StatusOr<std::string> BuiltinConfigTable();

}  // namespace ddgan

#endif  // DDGAN_TRAINER_OPTIONS_TRAINING_CONFIG_H_
