// What `ddgan` was asked to do, from its command line. No gRPC call is made
// here.
#ifndef DDGAN_CLIENT_COMMAND_LINE_COMMAND_LINE_H_
#define DDGAN_CLIENT_COMMAND_LINE_COMMAND_LINE_H_

#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "client/load_generator/load_options.h"
#include "client/secure_channel.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/base/program_options.h"

namespace ddgan {

// Where the server is unless it is said otherwise.
inline constexpr char kDefaultServer[] = "localhost:50051";

// Which server, how to talk to it, and how long to wait for it.
struct ServerChoice {
  std::string address = kDefaultServer;
  absl::Duration timeout;
  ConnectionSecurity security;
};

struct GenerateCommand {
  ServerChoice server;
  // All but its count, which may be more than one call's, and guide.png.
  v1::GenerateRequest request;
  uint32_t count = 1;
  // The file for guide.png, not read yet. Empty: the request has no guide.
  std::string guide_file;
  bool grid = false;
  // Whether the images are asked for as a stream.
  bool stream = false;
  // The rest only with `stream`.
  bool previews = false;
  std::string preview_dir;  // Empty: previews are shown as progress only.
  std::string out;
};

struct ModelsCommand {
  enum class Action { kList, kPin, kUnpin, kRollBack, kWatch };

  // With kWatch the timeout is how long to watch.
  ServerChoice server;
  Action action = Action::kList;
  std::string model;    // Of kPin, kUnpin and kRollBack.
  int64_t version = 0;  // Of kPin; 1 or more.
  bool json = false;    // Of kList.
};

struct HealthCommand {
  ServerChoice server;
  std::string service;
  bool json = false;
};

struct BenchCommand {
  std::string address = kDefaultServer;
  ConnectionSecurity security;
  LoadOptions load;
  // Where the report goes as JSON; "-" is standard output, empty nowhere.
  std::string json;
  // Where every call goes as a line of JSON; empty: nowhere.
  std::string record;
};

struct PlaygroundCommand {
  std::string address = kDefaultServer;
  ConnectionSecurity security;
  int port = 0;  // Of the page; 0: the system chooses.
};

// To be printed: of --help or --version.
struct HelpCommand {
  std::string text;
};

using Command = std::variant<GenerateCommand, ModelsCommand, HealthCommand,
                             BenchCommand, PlaygroundCommand, HelpCommand>;

// `arguments` are those after the program's name; program_options.h says how
// they, the environment (DDGAN_CLIENT_SERVER, for which DDGAN_SERVER does, too)
// and a file are read.
// InvalidArgument, with a sentence for the user, if they make no command.
absl::StatusOr<Command> ParseCommand(
    absl::Span<const std::string> arguments,
    const Environment& environment = OwnEnvironment());

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_COMMAND_LINE_H_
