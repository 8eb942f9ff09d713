// How each command of `ddgan` takes its options; for command_line.cc, which
// says what is common to them.
#ifndef DDGAN_CLIENT_COMMAND_LINE_COMMAND_OPTIONS_H_
#define DDGAN_CLIENT_COMMAND_LINE_COMMAND_OPTIONS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "client/command_line/command_line.h"
#include "client/secure_channel.h"
#include "engine/base/program_options.h"

namespace ddgan {

// What a command is parsed from.
struct CommandInput {
  absl::Span<const std::string> arguments;  // After the command's name.
  const Environment& environment;
};

// Each is what ParseCommand makes of `ddgan generate` and so on.
absl::StatusOr<Command> ParseGenerate(const CommandInput& input);
absl::StatusOr<Command> ParseModels(const CommandInput& input);
absl::StatusOr<Command> ParseHealth(const CommandInput& input);
absl::StatusOr<Command> ParseBench(const CommandInput& input);
absl::StatusOr<Command> ParsePlayground(const CommandInput& input);

// `usage` is what may follow "ddgan COMMAND", a line each.
Program CommandProgram(const std::string& command,
                       std::vector<std::string> usage, std::string about,
                       size_t max_operands = 0);

inline constexpr char kServerGroup[] = "Server";

// Which server, and how it is talked to. `address` holds the default.
std::vector<Option> ConnectionRows(std::string* address,
                                   ConnectionSecurity* security);

// --timeout, above 0.
Option TimeoutRow(absl::Duration* timeout, std::string help,
                  std::string default_text = "");

// --model and --format of the images asked for.
std::vector<Option> ImageRows(const char* group, v1::GenerateRequest* request);

std::vector<Option> Joined(std::vector<std::vector<Option>> parts);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_COMMAND_OPTIONS_H_
