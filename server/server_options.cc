#include "server/server_options.h"

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace ddgan {
namespace {

// Takes a flag's value as written; returns what is wrong with it, without the
// flag's name.
using Setter = std::function<absl::Status(absl::string_view, ServerOptions*)>;

struct Flag {
  absl::string_view name;
  absl::string_view value_name;
  std::string help;
  Setter set;
};

absl::Status OutOfRange(absl::string_view value, absl::string_view range) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", value, "' is not ", range));
}

Setter SetInt(std::function<int*(ServerOptions*)> field, int min, int max) {
  return [field = std::move(field), min, max](absl::string_view text,
                                              ServerOptions* options) {
    int value;
    if (!absl::SimpleAtoi(text, &value) || value < min || value > max) {
      return OutOfRange(
          text, absl::StrCat("a whole number in [", min, ", ", max, "]"));
    }
    *field(options) = value;
    return absl::OkStatus();
  };
}

Setter SetDuration(std::function<absl::Duration*(ServerOptions*)> field,
                   absl::Duration max) {
  return [field = std::move(field), max](absl::string_view text,
                                         ServerOptions* options) {
    absl::Duration value;
    if (!absl::ParseDuration(text, &value) || value < absl::ZeroDuration() ||
        value > max) {
      return OutOfRange(
          text, absl::StrCat("a time in [0s, ", absl::FormatDuration(max),
                             "], such as 500ms or 10s"));
    }
    *field(options) = value;
    return absl::OkStatus();
  };
}

Setter SetAddress(std::function<ListenAddress*(ServerOptions*)> field) {
  return [field = std::move(field)](absl::string_view text,
                                    ServerOptions* options) {
    absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    if (!address.ok()) return address.status();
    *field(options) = *std::move(address);
    return absl::OkStatus();
  };
}

Setter SetText(std::function<std::string*(ServerOptions*)> field) {
  return [field = std::move(field)](absl::string_view text,
                                    ServerOptions* options) {
    if (text.empty()) return absl::InvalidArgumentError("the value is empty");
    *field(options) = std::string(text);
    return absl::OkStatus();
  };
}

absl::Status SetLogLevel(absl::string_view text, ServerOptions* options) {
  for (absl::string_view level : {"debug", "info", "warn", "error"}) {
    if (text == level) {
      options->log_level = std::string(level);
      return absl::OkStatus();
    }
  }
  return OutOfRange(text, "one of debug, info, warn, error");
}

std::vector<Flag> BuildFlags() {
  const ServerOptions defaults;
  return {
      {"model_root", "DIR",
       "Folder of models, DIR/<model>/<version>/. Required. The newest\n"
       "sound version of each model is served.",
       SetText([](ServerOptions* o) { return &o->engine.model_root; })},
      {"listen", "HOST:PORT",
       absl::StrCat(
           "Where gRPC is served; port 0 lets the system choose. There is no\n"
           "authentication: 0.0.0.0:50051 serves everyone who can reach it.\n"
           "Default ",
           ToString(defaults.listen), "."),
       SetAddress([](ServerOptions* o) { return &o->listen; })},
      {"http", "HOST:PORT",
       absl::StrCat("Where /metrics, /livez and /readyz are served; port 0 "
                    "lets the\nsystem choose. Default ",
                    ToString(defaults.http), "."),
       SetAddress([](ServerOptions* o) { return &o->http; })},
      {"device", "DEVICE",
       absl::StrCat("Where the generator runs: cpu, or in a CUDA build "
                    "cuda:N. Default ",
                    defaults.engine.device, "."),
       SetText([](ServerOptions* o) { return &o->engine.device; })},
      {"cpu_threads", "N",
       "CPU threads of the generator, 0 to 256; 0 means one per core.\n"
       "Default 0.",
       SetInt([](ServerOptions* o) { return &o->engine.cpu_threads; }, 0, 256)},
      {"max_batch_size", "N",
       absl::StrCat("Most images in one generator call, 1 to 256. Default ",
                    defaults.engine.max_batch_size, "."),
       SetInt([](ServerOptions* o) { return &o->engine.max_batch_size; }, 1,
              256)},
      {"max_batch_wait", "TIME",
       "How long the oldest waiting image may be held back for a fuller\n"
       "batch, 0s to 1s. Default 0s: an idle device starts at once.",
       SetDuration([](ServerOptions* o) { return &o->engine.max_batch_wait; },
                   absl::Seconds(1))},
      {"max_queued_images", "N",
       absl::StrCat(
           "Images accepted and not finished, 64 to 1000000; a call that\n"
           "would exceed it gets RESOURCE_EXHAUSTED. As many again may wait\n"
           "to be encoded. Default ",
           defaults.engine.max_queued_images, "."),
       SetInt([](ServerOptions* o) { return &o->engine.max_queued_images; }, 64,
              1000000)},
      {"encode_threads", "N",
       absl::StrCat("CPU threads that encode PNG, 1 to 256. Default ",
                    defaults.encode_threads, "."),
       SetInt([](ServerOptions* o) { return &o->encode_threads; }, 1, 256)},
      {"drain_timeout", "TIME",
       absl::StrCat(
           "After SIGTERM, how long accepted work may take to finish, 0s to\n"
           "1h; what is left then fails with UNAVAILABLE. Default ",
           absl::FormatDuration(defaults.drain_timeout), "."),
       SetDuration([](ServerOptions* o) { return &o->drain_timeout; },
                   absl::Hours(1))},
      {"port_file", "FILE",
       "Writes the actual ports as JSON, {\"grpc_port\": N, \"http_port\": "
       "N},\n"
       "once the server serves. The file appears whole or not at all; one\n"
       "from an earlier run is removed at start. Default: none.",
       SetText([](ServerOptions* o) { return &o->port_file; })},
      {"log_level", "LEVEL",
       absl::StrCat("debug, info, warn or error; logs go to stderr. Default ",
                    defaults.log_level, "."),
       SetLogLevel},
  };
}

const std::vector<Flag>& Flags() {
  static const std::vector<Flag>* const flags =
      new std::vector<Flag>(BuildFlags());
  return *flags;
}

const Flag* FindFlag(absl::string_view name) {
  for (const Flag& flag : Flags()) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(
    absl::Span<const std::string> arguments) {
  CommandLine command;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      command.action = CommandLine::Action::kPrintHelp;
      return command;
    }
    if (argument == "--version") {
      command.action = CommandLine::Action::kPrintVersion;
      return command;
    }
    const size_t equals = argument.find('=');
    const absl::string_view written = argument.substr(0, equals);
    const Flag* flag =
        absl::StartsWith(written, "--") ? FindFlag(written.substr(2)) : nullptr;
    if (flag == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown argument '", argument, "' (try --help)"));
    }
    absl::string_view value;
    if (equals != absl::string_view::npos) {
      value = argument.substr(equals + 1);
    } else if (++i < arguments.size()) {
      value = arguments[i];
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag->name, ": the value is missing"));
    }
    if (absl::Status status = flag->set(value, &command.options);
        !status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag->name, ": ", status.message()));
    }
  }
  if (command.options.engine.model_root.empty()) {
    return absl::InvalidArgumentError(
        "--model_root is required: the folder of models (try --help)");
  }
  return command;
}

std::string HelpText() {
  std::string text =
      "ddgan-server: turns gRPC Generate calls into images.\n"
      "\n"
      "usage: ddgan-server --model_root=DIR [--flag=value ...]\n"
      "\n";
  for (const Flag& flag : Flags()) {
    absl::StrAppend(&text, "  --", flag.name, "=", flag.value_name, "\n");
    for (absl::string_view line : absl::StrSplit(flag.help, '\n')) {
      absl::StrAppend(&text, "      ", line, "\n");
    }
  }
  absl::StrAppend(
      &text,
      "  --version, --help\n"
      "\n"
      "SIGTERM or SIGINT: stops accepting, finishes accepted work, exits with "
      "0;\na second signal ends it at once. Exit codes: 1 could not serve, 2 "
      "bad\nusage.\n"
      "\n"
      "OMP_WAIT_POLICY in the environment decides how CPU threads wait for "
      "one\n"
      "another. Unset means PASSIVE, which is right on a machine that runs\n"
      "anything else; ACTIVE is faster on one that does not.\n"
      "\n"
      "Example:\n"
      "  ddgan-server --model_root=deploy/models --listen=127.0.0.1:50051\n"
      "  ddgan generate --count=64 --seed=7 --grid --out=digits.png\n");
  return text;
}

}  // namespace ddgan
