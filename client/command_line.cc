#include "client/command_line.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/flags.h"

namespace ddgan {
namespace {

constexpr uint64_t kMaxUint32 = std::numeric_limits<uint32_t>::max();

constexpr char kOverview[] =
    R"(Asks a ddgan server for images.

usage: ddgan COMMAND [flags]

  generate   make images and write them to files
  models     list the models that the server has
  health     ask whether the server is ready

ddgan COMMAND --help tells more about each. The server is localhost:50051,
unless --server=HOST:PORT or the environment variable DDGAN_SERVER names another.

Exit code: 0 done, 1 the server or the file system refused (for health: not
ready), 2 the command line makes no sense.
)";

constexpr char kGenerateUsage[] =
    R"(Makes images and writes them to files.

usage: ddgan generate [flags]

  ddgan generate --count=64 --seed=7 --grid --out=digits.png
      64 images in one picture
  ddgan generate --count=1000 --seed=7 --out=digits/
      digits/0.png to digits/999.png
  ddgan generate --seed=7 --first_index=12 --out=twelve.png
      number 12 of those again, the same bytes
  ddgan generate --count=16 --stream --previews --preview_dir=steps/
      each image as soon as it is done, and what it looks like on the way

An image depends on the model's version, the seed and its index alone. What was
used is printed, with the command that makes the same images again.

)";

constexpr char kModelsUsage[] =
    R"(Lists the models that the server has, newest version first, with what is live
and why a version is refused.

usage: ddgan models [flags]

)";

constexpr char kHealthUsage[] =
    R"(Asks by the standard gRPC health protocol whether the server is ready, and
prints SERVING or NOT_SERVING. The exit code is 0 only for SERVING.

usage: ddgan health [flags]

)";

bool AsksForHelp(absl::Span<const std::string> arguments) {
  return std::any_of(
      arguments.begin(), arguments.end(),
      [](const std::string& a) { return a == "--help" || a == "-h"; });
}

std::vector<Flag> ServerFlags(const std::string& default_timeout,
                              ServerChoice* server) {
  return {
      TextFlag("server", "HOST:PORT",
               absl::StrCat("Where the server listens. Default: DDGAN_SERVER "
                            "from the environment, else localhost:50051. Now: ",
                            server->address, "."),
               &server->address),
      DurationFlag("timeout",
                   absl::StrCat("Longest time for one call, retries included, "
                                "such as 90s, 2m or 250ms. Default: ",
                                default_timeout, "."),
                   &server->timeout),
  };
}

absl::Status StoreFormat(const std::string& value,
                         v1::GenerateRequest* request) {
  if (value == "png") {
    request->set_format(v1::OUTPUT_FORMAT_PNG);
  } else if (value == "raw8") {
    request->set_format(v1::OUTPUT_FORMAT_RAW8);
  } else if (value == "float32") {
    request->set_format(v1::OUTPUT_FORMAT_FLOAT32);
  } else {
    return absl::InvalidArgumentError("wanted png, raw8 or float32");
  }
  return absl::OkStatus();
}

absl::Status StoreClass(const std::string& value,
                        v1::GenerateRequest* request) {
  if (value == "interactive") {
    request->set_request_class(v1::REQUEST_CLASS_INTERACTIVE);
  } else if (value == "batch") {
    request->set_request_class(v1::REQUEST_CLASS_BATCH);
  } else {
    return absl::InvalidArgumentError("wanted interactive or batch");
  }
  return absl::OkStatus();
}

std::vector<Flag> GenerateFlags(GenerateCommand* command) {
  v1::GenerateRequest* request = &command->request;
  std::vector<Flag> flags = {
      NumberFlag(
          "count",
          "Number of images, 1 or more. More than 64 are asked for in "
          "calls of 64. Default: 1.",
          1, kMaxUint32,
          [command](uint64_t n) { command->count = static_cast<uint32_t>(n); }),
      NumberFlag("seed",
                 "Seed of the noise, 0 to 2^64 - 1. Default: the server draws "
                 "one, which is printed.",
                 0, std::numeric_limits<uint64_t>::max(),
                 [request](uint64_t n) { request->set_seed(n); }),
      NumberFlag("first_index",
                 "Index of the first image; the others follow it. Default: 0.",
                 0, kMaxUint32,
                 [request](uint64_t n) {
                   request->set_first_index(static_cast<uint32_t>(n));
                 }),
      {"model", "NAME",
       "Which model. Default: the only one that the server has.",
       [request](const std::string& value) {
         request->set_model(value);
         return absl::OkStatus();
       }},
      NumberFlag("version",
                 "Which version of the model. Default: the live one.", 1,
                 static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
                 [request](uint64_t n) {
                   request->set_version(static_cast<int64_t>(n));
                 }),
      {"format", "png|raw8|float32",
       "png: PNG files. raw8: their pixels alone, 8-bit rows (height, width, "
       "channels). float32: the generator's output, little-endian planes "
       "(channels, height, width), nominally in [-1, 1]. Default: png.",
       [request](const std::string& value) {
         return StoreFormat(value, request);
       }},
      {"class", "interactive|batch",
       "interactive: somebody waits for the images. batch: they may take what "
       "others leave of the server. Default: interactive.",
       [request](const std::string& value) {
         return StoreClass(value, request);
       }},
      SwitchFlag("stream",
                 "Write each image as soon as it is done, instead of 64 at a "
                 "time.",
                 &command->stream),
      SwitchFlag("previews",
                 "With --stream: also fetch what each image looks like after "
                 "each step, which shows progress within a call.",
                 &command->previews),
      TextFlag("preview_dir", "FOLDER",
               "With --previews: a folder (made if missing) where each preview "
               "becomes a file SEED-INDEX-stepT.png, .raw8 or .float32; T "
               "counts down to 1. Default: previews are not kept.",
               &command->preview_dir),
      SwitchFlag("grid", "All images side by side in one PNG file.",
                 &command->grid),
      TextFlag("out", "PATH",
               "A folder (made if missing, one file per image, named by its "
               "index), or a file name; for several files it holds %d, which "
               "becomes the index. Default: ddgan-grid.png with --grid, else "
               "ddgan-%d.png, .raw8 or .float32.",
               &command->out),
  };
  for (Flag& flag : ServerFlags("5m", &command->server)) {
    flags.push_back(std::move(flag));
  }
  return flags;
}

absl::StatusOr<Command> ParseGenerate(absl::Span<const std::string> arguments,
                                      const std::string& default_server) {
  GenerateCommand command;
  command.server = {default_server, absl::Minutes(5)};
  const std::vector<Flag> flags = GenerateFlags(&command);
  if (AsksForHelp(arguments)) {
    return HelpCommand{absl::StrCat(kGenerateUsage, FlagsHelp(flags))};
  }
  if (absl::Status parsed = ParseFlags(arguments, flags); !parsed.ok()) {
    return parsed;
  }
  if (command.grid &&
      command.request.format() != v1::OUTPUT_FORMAT_UNSPECIFIED &&
      command.request.format() != v1::OUTPUT_FORMAT_PNG) {
    return absl::InvalidArgumentError(
        "--grid writes a PNG file; leave --format out");
  }
  if (command.previews && !command.stream) {
    return absl::InvalidArgumentError("--previews needs --stream");
  }
  if (!command.preview_dir.empty() && !command.previews) {
    return absl::InvalidArgumentError("--preview_dir needs --previews");
  }
  if (!command.preview_dir.empty() && command.grid) {
    return absl::InvalidArgumentError(
        "--grid keeps no previews; leave it or --preview_dir out");
  }
  if (command.count - 1 > kMaxUint32 - command.request.first_index()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--first_index=", command.request.first_index(), " --count=",
        command.count, ": the last index must be at most ", kMaxUint32));
  }
  return command;
}

absl::StatusOr<Command> ParseModels(absl::Span<const std::string> arguments,
                                    const std::string& default_server) {
  ModelsCommand command;
  command.server = {default_server, absl::Seconds(10)};
  const std::vector<Flag> flags = ServerFlags("10s", &command.server);
  if (AsksForHelp(arguments)) {
    return HelpCommand{absl::StrCat(kModelsUsage, FlagsHelp(flags))};
  }
  if (absl::Status parsed = ParseFlags(arguments, flags); !parsed.ok()) {
    return parsed;
  }
  return command;
}

absl::StatusOr<Command> ParseHealth(absl::Span<const std::string> arguments,
                                    const std::string& default_server) {
  HealthCommand command;
  command.server = {default_server, absl::Seconds(10)};
  std::vector<Flag> flags = ServerFlags("10s", &command.server);
  flags.push_back(TextFlag("service", "NAME",
                           "Full name of one service, such as "
                           "ddgan.v1.ImageGeneration. Default: the server as "
                           "a whole.",
                           &command.service));
  if (AsksForHelp(arguments)) {
    return HelpCommand{absl::StrCat(kHealthUsage, FlagsHelp(flags))};
  }
  if (absl::Status parsed = ParseFlags(arguments, flags); !parsed.ok()) {
    return parsed;
  }
  return command;
}

}  // namespace

absl::StatusOr<Command> ParseCommandLine(
    absl::Span<const std::string> arguments,
    const std::string& default_server) {
  if (arguments.empty()) {
    return absl::InvalidArgumentError("which command? (see ddgan --help)");
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help") {
    return HelpCommand{kOverview};
  }
  absl::StatusOr<Command> command = absl::InvalidArgumentError(
      absl::StrCat("there is no command '", name, "' (see ddgan --help)"));
  const absl::Span<const std::string> rest = arguments.subspan(1);
  if (name == "generate") {
    command = ParseGenerate(rest, default_server);
  } else if (name == "models") {
    command = ParseModels(rest, default_server);
  } else if (name == "health") {
    command = ParseHealth(rest, default_server);
  } else {
    return command;
  }
  if (!command.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        command.status().message(), " (see ddgan ", name, " --help)"));
  }
  return command;
}

}  // namespace ddgan
