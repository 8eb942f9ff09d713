// The options of ddgan-train as a table: flags, configuration files, range
// checks, --help and what is stored with a version are made from it. No
// LibTorch.
#ifndef DDGAN_TRAINER_OPTIONS_TRAINER_OPTION_TABLE_H_
#define DDGAN_TRAINER_OPTIONS_TRAINER_OPTION_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/option_table.h"
#include "nlohmann/json.hpp"
#include "trainer/options/trainer_options.h"

namespace ddgan {

// What an option changes.
enum class OptionEffect {
  kNone,      // Where and how a run goes: not what comes out of it.
  kResult,    // What comes out; a resumed run may have another value.
  kIdentity,  // What comes out; a resumed run must have the same value.
};

struct TrainerOptionTable {
  std::vector<Option> rows;           // In the order of --help.
  std::vector<OptionEffect> effects;  // Of the row with the same index.
};

// A row for every field of `options`, which must outlive the result.
TrainerOptionTable TrainerOptionsAsTable(TrainerOptions* options);

// The value as it stands in a configuration file.
nlohmann::json OptionJson(const Option& option);

// Stores a value of a configuration file. InvalidArgument that names value and
// what is wanted for JSON of another type or out of range. `label` is how the
// message calls the option.
absl::Status SetOptionFromJson(const Option& option, const std::string& label,
                               const nlohmann::json& value);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_OPTIONS_TRAINER_OPTION_TABLE_H_
