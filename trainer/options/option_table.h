// The options of ddgan-train as a table: one row says everything about one, and
// flags, configuration files, range checks, --help and what is stored with a
// version are made from it. No LibTorch.
#ifndef DDGAN_TRAINER_OPTIONS_OPTION_TABLE_H_
#define DDGAN_TRAINER_OPTIONS_OPTION_TABLE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"
#include "trainer/options/trainer_options.h"

namespace ddgan {

using OptionField =
    std::variant<bool*, int*, int64_t*, uint64_t*, double*, std::string*,
                 std::vector<int>*, ResumePolicy*>;

// What an option changes.
enum class OptionEffect {
  kNone,      // Where and how a run goes: not what comes out of it.
  kResult,    // What comes out; a resumed run may have another value.
  kIdentity,  // What comes out; a resumed run must have the same value.
};

// Which values of its type an option may have.
struct Allowed {
  // A number must be in [low, high]; both 0: any.
  double low;
  double high;
  const char* choices;  // Text must be one of these, split by '|'; "": any.
};

struct Option {
  const char* name;   // Of the flag, without --, and of the JSON key.
  const char* group;  // Heading in --help; options of a group are neighbours.
  OptionField (*field)(TrainerOptions&);
  OptionEffect effect;
  Allowed allowed;
  const char* help;  // One phrase.
};

// In the order of --help. Valid for the life of the process.
absl::Span<const Option> OptionTable();

// Null if no option has this name.
const Option* FindOption(const std::string& name);

// InvalidArgument for a `name` that no option has: `what`, and the nearest name
// if one is near.
absl::Status UnknownOption(const std::string& what, const std::string& name);

// The value as it stands in a configuration file.
nlohmann::json OptionValue(const Option& option, const TrainerOptions& options);

// InvalidArgument that names value and type for JSON of another type; the range
// is not looked at. `label` is how the message calls the option.
absl::Status SetOption(const Option& option, const std::string& label,
                       const nlohmann::json& value, TrainerOptions* options);

// From the text of a flag: as in JSON, but strings without quotes and lists
// without brackets: "1,2,2", or "" for none.
absl::Status SetOptionFromText(const Option& option, const std::string& text,
                               TrainerOptions* options);

// "in [1, 65536]" or "one of: auto, never"; empty if everything of the type is
// allowed.
std::string AllowedValues(const Option& option);

// InvalidArgument that names flag, value and allowed range.
absl::Status CheckAllowed(const Option& option, const TrainerOptions& options);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_OPTIONS_OPTION_TABLE_H_
