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

std::string WhereOptionsAreSet(const Program& program,
                               absl::Span<const Option> table) {
  const std::string example = table.front().name;
  return absl::StrCat(
      "A flag is --name=value or --name value; one without a value above also "
      "takes =true and =false",
      program.negations ? ", or is --noname" : "",
      ". Each may also be set in the environment, --", example, " as ",
      VariableName(program, example), ", or in a file, as a line ", example,
      " = \"value\" of --", kConfigFileOption,
      program.section.empty()
          ? ""
          : absl::StrCat(", in which [", program.section,
                         "] begins what is for this command alone"),
      ". After -- there are no flags. The command line comes before the "
      "environment, the environment before the file, the file before the "
      "default.");
}

std::string VariableName(const Program& program, absl::string_view option) {
  return absl::StrCat(program.environment, absl::AsciiStrToUpper(option));
}

}  // namespace ddgan
