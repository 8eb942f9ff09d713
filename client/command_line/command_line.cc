#include "client/command_line/command_line.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/command_line/command_options.h"
#include "engine/base/help_forms.h"

namespace ddgan {
namespace {

constexpr char kNotes[] =
    R"(ddgan COMMAND --help tells more about each, and ddgan --version the version. The
server is localhost:50051, unless --server=HOST:PORT, the environment variable
DDGAN_SERVER or a file of options names another. ddgan --help=bash, =zsh and
=man print what completes commands in a shell, and a manual page.

Exit code: 0 done, 1 the server or the file system refused (for health: not
ready; for bench: an image had other bytes than before), 2 wrong usage.
)";

constexpr char kModelsAbout[] =
    R"(Lists the models that the server has, newest version first, with what is live
and why a version is refused; or says which version is to be live.

  pin
      VERSION is to serve the requests that name none, whatever newer ones come.
      Waits until it is live. A version that is not loaded yet takes a while,
      during which the live one goes on serving.
  unpin
      The newest sound version is to be live again.
  rollback
      Pins the newest loaded version that is older than the live one, else the
      newest on disk that is not refused, and waits as pin does.
  watch
      Prints what there is and then a line for each change, until Ctrl-C.

The exit code of pin and rollback is 0 only if the version is live. Otherwise
what was live before goes on serving. A version that the server finds unsound
only when it loads it, or that is not live within --timeout, stays pinned.
)";

constexpr char kAnswerGroup[] = "Answer";

constexpr char kHealthAbout[] =
    "Asks by the standard gRPC health protocol whether the server is ready, "
    "and\n"
    "prints SERVING or NOT_SERVING. The exit code is 0 only for SERVING.\n";

struct KnownCommand {
  CommandSummary summary;
  absl::StatusOr<Command> (*parse)(const CommandInput&);
};
constexpr KnownCommand kCommands[] = {
    {{"generate", "make images and write them to files"}, ParseGenerate},
    {{"models",
      "list the models that the server has, say which version serves"},
     ParseModels},
    {{"health", "ask whether the server is ready"}, ParseHealth},
    {{"playground", "a page to make images in a browser, and to draw"},
     ParsePlayground},
    {{"bench", "send calls for a while; report latencies, rates and errors"},
     ParseBench}};

const KnownCommand* FindCommand(absl::string_view name) {
  const auto known = std::find_if(std::begin(kCommands), std::end(kCommands),
                                  [name](const KnownCommand& command) {
                                    return name == command.summary.name;
                                  });
  return known == std::end(kCommands) ? nullptr : known;
}

// What --help=flags of the command prints.
std::string FlagsOf(const std::string& command) {
  const std::vector<std::string> arguments = {"--help=flags"};
  const absl::StatusOr<Command> parsed =
      FindCommand(command)->parse({arguments, {}});
  return std::get<HelpCommand>(*parsed).text;
}

// The environment is one for all commands.
bool IsFlagOfACommand(absl::string_view name) {
  return std::any_of(
      std::begin(kCommands), std::end(kCommands),
      [name](const KnownCommand& command) {
        const std::string lines =
            absl::StrCat("\n", FlagsOf(command.summary.name));
        return absl::StrContains(lines, absl::StrCat("\n--", name, "=")) ||
               absl::StrContains(lines, absl::StrCat("\n--", name, "\t"));
      });
}

ProgramOfCommands WholeProgram() {
  ProgramOfCommands program = {.name = "ddgan",
                               .summary = "ask a ddgan server for images",
                               .about = "Asks a ddgan server for images.\n",
                               .notes = kNotes,
                               .commands = {},
                               .flags = FlagsOf};
  for (const KnownCommand& command : kCommands) {
    program.commands.push_back(command.summary);
  }
  return program;
}

// What `ddgan models` does, by its operands: an action and what it is about.
absl::Status TakeModelsOperands(const std::vector<std::string>& operands,
                                ModelsCommand* command) {
  using Action = ModelsCommand::Action;
  struct Form {
    const char* name;
    Action action;
    std::vector<const char*> operands;
  };
  static const std::vector<Form>& forms = *new std::vector<Form>{
      {"pin", Action::kPin, {"MODEL", "VERSION"}},
      {"unpin", Action::kUnpin, {"MODEL"}},
      {"rollback", Action::kRollBack, {"MODEL"}},
      {"watch", Action::kWatch, {}},
  };
  if (operands.empty()) return absl::OkStatus();
  const auto form = std::find_if(
      forms.begin(), forms.end(),
      [&operands](const Form& f) { return operands[0] == f.name; });
  if (form == forms.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", operands[0], "' is none of pin, unpin, rollback and watch"));
  }
  if (operands.size() - 1 != form->operands.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wanted ddgan models ", form->name, form->operands.empty() ? "" : " ",
        absl::StrJoin(form->operands, " ")));
  }
  if (command->json) {
    return absl::InvalidArgumentError(
        absl::StrCat("--json is of the list of models; ddgan models ",
                     form->name, " takes none"));
  }
  command->action = form->action;
  if (operands.size() > 1) command->model = operands[1];
  if (operands.size() > 2 &&
      (!absl::SimpleAtoi(operands[2], &command->version) ||
       command->version < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("VERSION ", operands[2],
                     ": wanted a whole number from 1 "
                     "to ",
                     std::numeric_limits<int64_t>::max()));
  }
  return absl::OkStatus();
}

absl::Duration DefaultTimeout(ModelsCommand::Action action) {
  switch (action) {
    case ModelsCommand::Action::kPin:
    case ModelsCommand::Action::kRollBack:
      return absl::Minutes(5);
    case ModelsCommand::Action::kWatch:
      return absl::InfiniteDuration();
    case ModelsCommand::Action::kList:
    case ModelsCommand::Action::kUnpin:
      break;
  }
  return absl::Seconds(10);
}

}  // namespace

Program CommandProgram(const std::string& command,
                       std::vector<std::string> usage, std::string about,
                       size_t max_operands) {
  Program program = {.name = absl::StrCat("ddgan ", command),
                     .environment = "DDGAN_CLIENT_",
                     .usage = std::move(usage),
                     .about = std::move(about),
                     .max_operands = max_operands,
                     .section = command,
                     .other_variables = {{"server", "DDGAN_SERVER"}},
                     .is_known_elsewhere = IsFlagOfACommand};
  for (const KnownCommand& known : kCommands) {
    program.sections.push_back(known.summary.name);
    if (command == known.summary.name) program.summary = known.summary.summary;
  }
  return program;
}

std::vector<Option> ConnectionRows(std::string* address,
                                   ConnectionSecurity* security) {
  return {
      {"server", kServerGroup, "HOST:PORT", address, kAny,
       "where the server listens; in the environment also DDGAN_SERVER"},
      {"tls", kServerGroup, "", &security->tls, kAny,
       "talk to the server by TLS"},
      {"tls_ca", kServerGroup, "FILE", &security->ca_file, kAny,
       "PEM file of the authorities that may vouch for the server",
       "those that the system trusts"},
      {"tls_cert", kServerGroup, "FILE", &security->cert_file, kAny,
       "PEM file of this client's certificate, for servers that ask for one. "
       "Needs --tls_key"},
      {"tls_key", kServerGroup, "FILE", &security->key_file, kAny,
       "PEM file of the certificate's key"},
      {"tls_server_name", kServerGroup, "NAME", &security->server_name, kAny,
       "the name that the server's certificate must be for",
       "the host in --server"},
      {"token_file", kServerGroup, "FILE", &security->token_file, kAny,
       "file with the token to send with each call, for servers that ask for "
       "one. Without --tls only to this machine"},
      {"token_without_tls", kServerGroup, "", &security->token_without_tls,
       kAny,
       "send the token without --tls to other machines, too: everybody on the "
       "way can read it"},
  };
}

Option TimeoutRow(absl::Duration* timeout, std::string help,
                  std::string default_text) {
  return {"timeout",
          kServerGroup,
          "",
          TimeOrSeconds{timeout},
          Between(absl::Nanoseconds(1), absl::InfiniteDuration()),
          std::move(help),
          std::move(default_text)};
}

std::vector<Option> ImageRows(const char* group, v1::GenerateRequest* request) {
  return {
      {"model", group, "NAME", request->mutable_model(), kAny, "which model",
       "the only one that the server has"},
      {"format", group, "",
       Choice{{"png", "raw8", "float32"},
              [request](size_t i) {
                constexpr v1::OutputFormat kFormats[] = {
                    v1::OUTPUT_FORMAT_PNG, v1::OUTPUT_FORMAT_RAW8,
                    v1::OUTPUT_FORMAT_FLOAT32};
                request->set_format(kFormats[i]);
              },
              nullptr},
       kAny,
       "png: PNG files; raw8: their pixels alone, 8-bit rows (height, width, "
       "channels); float32: the generator's output, little-endian planes "
       "(channels, height, width), nominally in [-1, 1]",
       "png"},
  };
}

std::vector<Option> Joined(std::vector<std::vector<Option>> parts) {
  std::vector<Option> all;
  for (std::vector<Option>& part : parts) {
    std::move(part.begin(), part.end(), std::back_inserter(all));
  }
  return all;
}

absl::StatusOr<Command> ParseModels(const CommandInput& input) {
  ModelsCommand command;
  ServerChoice& server = command.server;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      CommandProgram(
          "models",
          {"[flags]", "pin MODEL VERSION [flags]", "unpin MODEL [flags]",
           "rollback MODEL [flags]", "watch [flags]"},
          kModelsAbout, 3),
      Joined({ConnectionRows(&server.address, &server.security),
              {TimeoutRow(&server.timeout,
                          "longest time to wait for the server and, with pin "
                          "and rollback, for the version to be live; with "
                          "watch, how long to watch",
                          "10s; 5m with pin and rollback; no end with "
                          "watch"),
               {"json", kAnswerGroup, "", &command.json, kAny,
                "list the models as JSON, for programs; not with pin, unpin, "
                "rollback and watch"}}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  if (!parsed->text.empty()) return HelpCommand{parsed->text};
  absl::Status status = TakeModelsOperands(parsed->operands, &command);
  status.Update(CheckConnectionSecurity(server.address, server.security));
  if (!status.ok()) return status;
  if (server.timeout == absl::ZeroDuration()) {
    server.timeout = DefaultTimeout(command.action);
  }
  return command;
}

absl::StatusOr<Command> ParseHealth(const CommandInput& input) {
  HealthCommand command;
  ServerChoice& server = command.server;
  server.timeout = absl::Seconds(10);
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      CommandProgram("health", {"[flags]"}, kHealthAbout),
      Joined({ConnectionRows(&server.address, &server.security),
              {TimeoutRow(&server.timeout,
                          "longest time for the answer; nothing is retried"),
               {"service", kServerGroup, "NAME", &command.service, kAny,
                "full name of one service, such as ddgan.v1.ImageGeneration",
                "the server as a whole"},
               {"json", kAnswerGroup, "", &command.json, kAny,
                "print an object of JSON, for programs, also if the server "
                "does not answer"}}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  if (!parsed->text.empty()) return HelpCommand{parsed->text};
  if (absl::Status s = CheckConnectionSecurity(server.address, server.security);
      !s.ok()) {
    return s;
  }
  return command;
}

absl::StatusOr<Command> ParseCommand(absl::Span<const std::string> arguments,
                                     const Environment& environment) {
  if (arguments.empty()) {
    return absl::InvalidArgumentError("which command? (see ddgan --help)");
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help") {
    return HelpCommand{OverviewText(WholeProgram())};
  }
  if (absl::string_view form = name; absl::ConsumePrefix(&form, "--help=")) {
    absl::StatusOr<std::string> text = HelpInForm(WholeProgram(), form);
    if (!text.ok()) return text.status();
    return HelpCommand{*std::move(text)};
  }
  if (name == "--version") return HelpCommand{VersionText("ddgan")};
  const KnownCommand* const known = FindCommand(name);
  if (known == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no command '", name, "' (see ddgan --help)"));
  }
  absl::StatusOr<Command> command =
      known->parse({arguments.subspan(1), environment});
  if (command.ok()) return command;
  return absl::InvalidArgumentError(absl::StrCat(
      command.status().message(), " (see ddgan ", name, " --help)"));
}

}  // namespace ddgan
