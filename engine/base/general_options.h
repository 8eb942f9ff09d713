// The options that every program has beside those of its table, and where an
// option stands in the environment. Shared by reading options and by their
// help.
#ifndef DDGAN_ENGINE_BASE_GENERAL_OPTIONS_H_
#define DDGAN_ENGINE_BASE_GENERAL_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/base/option_table.h"
#include "engine/base/program_options.h"

namespace ddgan {

inline constexpr char kConfigFileOption[] = "config_file";
inline constexpr char kHelpOption[] = "help";
inline constexpr char kVersionOption[] = "version";

// `table` and --config_file, whose value goes to `file`, which outlives the
// result.
std::vector<Option> WithGeneralOptions(absl::Span<const Option> table,
                                       std::string* file);

// The paragraph of every help that says how flags are written, and where else
// they may be set. `table` is not empty.
std::string WhereOptionsAreSet(const Program& program,
                               absl::Span<const Option> table);

// Such as "DDGAN_SERVER_MODEL_ROOT" of "model_root".
std::string VariableName(const Program& program, absl::string_view option);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_GENERAL_OPTIONS_H_
