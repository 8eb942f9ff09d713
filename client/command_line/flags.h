// Command line flags of one subcommand as a table: what parses them also
// prints their help, so the two cannot disagree.
#ifndef DDGAN_CLIENT_COMMAND_LINE_FLAGS_H_
#define DDGAN_CLIENT_COMMAND_LINE_FLAGS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace ddgan {

struct Flag {
  // With underscores; dashes are accepted in their place on the command line.
  std::string name;
  // What stands for the value in the help. Empty: a switch without value.
  std::string placeholder;
  // Sentences with the unit, the range and the default.
  std::string help;
  // Stores the value. An error's message says what is wanted; which flag it is
  // about is added by ParseFlags. A switch gets an empty value.
  std::function<absl::Status(const std::string& value)> store;
};

// Makes the usual kinds. Each writes to `*target`, which must outlive it.
Flag TextFlag(std::string name, std::string placeholder, std::string help,
              std::string* target);
Flag SwitchFlag(std::string name, std::string help, bool* target);
// A duration as in "1.5s", "250ms" or "2m", or a number of seconds; above 0.
Flag DurationFlag(std::string name, std::string help, absl::Duration* target);
// The same, but may be 0.
Flag DurationOrZeroFlag(std::string name, std::string help,
                        absl::Duration* target);
// Decimal, in [min, max].
Flag NumberFlag(std::string name, std::string help, uint64_t min, uint64_t max,
                std::function<void(uint64_t)> store);
// The same with a fraction.
Flag FractionFlag(std::string name, std::string placeholder, std::string help,
                  double min, double max, double* target);

// `arguments` are those after the subcommand: --name=value, --name value, or
// --switch. InvalidArgument, with a sentence for the user, if one is unknown,
// lacks its value, has one that does not fit, or is no flag at all, unless
// `operands` is there to take it.
absl::Status ParseFlags(absl::Span<const std::string> arguments,
                        absl::Span<const Flag> flags,
                        std::vector<std::string>* operands = nullptr);

// The table as text, wrapped at 80 columns.
std::string FlagsHelp(absl::Span<const Flag> flags);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_FLAGS_H_
