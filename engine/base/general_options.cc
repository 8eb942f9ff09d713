#include "engine/base/general_options.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

std::vector<Option> WithGeneralOptions(absl::Span<const Option> table,
                                       std::string* file) {
  std::vector<Option> all(table.begin(), table.end());
  all.push_back({kConfigFileOption, "General", "FILE", file, kNotEmpty,
                 "options from a file in TOML or INI, one a line: "
                 "name = \"value\""});
  return all;
}

std::string VariableName(const Program& program, absl::string_view option) {
  return absl::StrCat(program.environment, absl::AsciiStrToUpper(option));
}

}  // namespace ddgan
