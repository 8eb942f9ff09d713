#include "client/command_line/command_line.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/command_line/flags.h"

namespace ddgan {
namespace {

constexpr uint64_t kMaxUint32 = std::numeric_limits<uint32_t>::max();

constexpr char kOverview[] =
    R"(Asks a ddgan server for images.

usage: ddgan COMMAND [flags]

  generate   make images and write them to files
  models     list the models that the server has, and say which version serves
  health     ask whether the server is ready
  bench      send calls for a while and report latencies, rates and errors

ddgan COMMAND --help tells more about each. The server is localhost:50051,
unless --server=HOST:PORT or the environment variable DDGAN_SERVER names another.

Exit code: 0 done, 1 the server or the file system refused (for health: not
ready; for bench: an image had other bytes than before), 2 the command line makes
no sense.
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
  ddgan generate --count=16 --guide=strokes.png --guide_steps=2 --out=faces/
      16 variations of a picture

An image depends on the model's version, the seed and its index alone. What was
used is printed, with the command that makes the same images again.

)";

constexpr char kModelsUsage[] =
    R"(Lists the models that the server has, newest version first, with what is live
and why a version is refused; or says which version is to be live.

usage: ddgan models [flags]
       ddgan models pin MODEL VERSION [flags]
       ddgan models unpin MODEL [flags]
       ddgan models rollback MODEL [flags]
       ddgan models watch [flags]

  pin
      VERSION is to serve the requests that name none, whatever newer ones come.
      Waits until it is live. A version that is not loaded yet takes a while,
      during which the live one goes on serving.
  unpin
      The newest sound version is to be live again.
  rollback
      Pins the newest sound version that is older than the live one, and waits
      as pin does.
  watch
      Prints what there is and then a line for each change, until Ctrl-C.

The exit code of pin and rollback is 0 only if the version is live. Otherwise
what was live before goes on serving. A version that the server finds unsound
only when it loads it, or that is not live within --timeout, stays pinned.

)";

constexpr char kHealthUsage[] =
    R"(Asks by the standard gRPC health protocol whether the server is ready, and
prints SERVING or NOT_SERVING. The exit code is 0 only for SERVING.

usage: ddgan health [flags]

)";

constexpr char kBenchUsage[] =
    R"(Sends calls to the server for a while and reports latencies, rates and errors.
Nothing is retried. A latency counts from when the call was due, whether or not
it could be sent then. Ctrl-C ends the load early and reports what there is.

usage: ddgan bench --concurrency=N|--rate=CALLS [flags]

  ddgan bench --concurrency=8 --counts=16
      8 callers, each waits for its reply before its next call
  ddgan bench --rate=20 --counts=1:0.9,16:0.1 --deadlines=none:0.5,2s:0.5
      20 calls a second on average, however long the replies take
  ddgan bench --rate=20 --counts=1-16 --seed_pool=8 --verify
      are the bytes of an image always the same?

)";

bool AsksForHelp(absl::Span<const std::string> arguments) {
  return std::any_of(
      arguments.begin(), arguments.end(),
      [](const std::string& a) { return a == "--help" || a == "-h"; });
}

// `address` is what it is unless the flag is given.
Flag ServerFlag(std::string* address) {
  return TextFlag(
      "server", "HOST:PORT",
      absl::StrCat("Where the server listens. Default: DDGAN_SERVER from the "
                   "environment, else localhost:50051. Now: ",
                   *address, "."),
      address);
}

void Append(std::vector<Flag> more, std::vector<Flag>* flags) {
  for (Flag& flag : more) flags->push_back(std::move(flag));
}

std::vector<Flag> SecurityFlags(ConnectionSecurity* security) {
  return {
      SwitchFlag("tls", "Talk to the server by TLS.", &security->tls),
      TextFlag("tls_ca", "FILE",
               "PEM file of the authorities that may vouch for the server. "
               "Default: those that the system trusts.",
               &security->ca_file),
      TextFlag("tls_cert", "FILE",
               "PEM file of this client's certificate, for servers that ask "
               "for one. Needs --tls_key.",
               &security->cert_file),
      TextFlag("tls_key", "FILE", "PEM file of the certificate's key.",
               &security->key_file),
      TextFlag("tls_server_name", "NAME",
               "The name that the server's certificate must be for. Default: "
               "the host in --server.",
               &security->server_name),
      TextFlag("token_file", "FILE",
               "File with the token to send with each call, for servers that "
               "ask for one. Without --tls only to this machine.",
               &security->token_file),
      SwitchFlag("token_without_tls",
                 "Send the token without --tls to other machines, too: "
                 "everybody on the way can read it.",
                 &security->token_without_tls),
  };
}

std::vector<Flag> ServerFlags(const std::string& default_timeout,
                              ServerChoice* server) {
  std::vector<Flag> flags = {
      ServerFlag(&server->address),
      DurationFlag("timeout",
                   absl::StrCat("Longest time for one call, retries included, "
                                "such as 90s, 2m or 250ms. Default: ",
                                default_timeout, "."),
                   &server->timeout),
  };
  Append(SecurityFlags(&server->security), &flags);
  return flags;
}

absl::Status CheckServer(const ServerChoice& server) {
  return CheckConnectionSecurity(server.address, server.security);
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

absl::Status StoreGuideFit(const std::string& value,
                           v1::GenerateRequest* request) {
  if (value == "refuse") {
    request->mutable_guide()->set_fit(v1::GUIDE_FIT_REFUSE);
  } else if (value == "resize") {
    request->mutable_guide()->set_fit(v1::GUIDE_FIT_RESIZE);
  } else {
    return absl::InvalidArgumentError("wanted refuse or resize");
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
      TextFlag(
          "guide", "FILE",
          "A PNG file of at most 1 MiB to start from instead of noise: the "
          "images are variations of it. Needs --guide_steps.",
          &command->guide_file),
      NumberFlag("guide_steps",
                 "Denoising steps to run from the guide, 1 to the model's T: "
                 "few keep close to it, many leave it behind.",
                 1, kMaxUint32,
                 [request](uint64_t n) {
                   request->mutable_guide()->set_steps(
                       static_cast<uint32_t>(n));
                 }),
      {"guide_fit", "refuse|resize",
       "What to do with a guide that does not have the model's size. resize "
       "does not keep its aspect ratio. Default: refuse.",
       [request](const std::string& value) {
         return StoreGuideFit(value, request);
       }},
      SwitchFlag("grid", "All images side by side in one PNG file.",
                 &command->grid),
      TextFlag("out", "PATH",
               "A folder (made if missing, one file per image, named by its "
               "index), or a file name; for several files it holds %d, which "
               "becomes the index. Default: ddgan-grid.png with --grid, else "
               "ddgan-%d.png, .raw8 or .float32.",
               &command->out),
  };
  Append(ServerFlags("5m", &command->server), &flags);
  return flags;
}

// For a list of values with weights.
template <typename T>
Flag MixFlag(
    std::string name, std::string help,
    absl::StatusOr<std::vector<Weighted<T>>> (*parse)(const std::string&),
    std::vector<Weighted<T>>* target) {
  return {std::move(name), "LIST", std::move(help),
          [parse, target](const std::string& value) {
            absl::StatusOr<std::vector<Weighted<T>>> list = parse(value);
            if (!list.ok()) return list.status();
            *target = *std::move(list);
            return absl::OkStatus();
          }};
}

// `max_outstanding` is 0 if the flag was not given.
std::vector<Flag> BenchFlags(BenchCommand* command, uint32_t* max_outstanding) {
  LoadOptions* load = &command->load;
  const auto to_uint32 = [](uint32_t* target) {
    return [target](uint64_t n) { *target = static_cast<uint32_t>(n); };
  };
  std::vector<Flag> flags = {
      NumberFlag("concurrency",
                 "Callers of a closed loop: each sends its next call when it "
                 "has the reply to the one before.",
                 1, 100'000, to_uint32(&load->concurrency)),
      FractionFlag("rate", "CALLS",
                   "Calls per second of an open loop, on average, 0.001 to "
                   "100000: they are due at random times (Poisson), whatever "
                   "the server does.",
                   0.001, 100'000, &load->rate),
      DurationFlag("duration",
                   "How long calls are sent after the warm-up. Default: 60s.",
                   &load->duration),
      NumberFlag("calls",
                 "Calls after the warm-up, in the place of --duration.", 1,
                 1'000'000'000, [load](uint64_t n) { load->calls = n; }),
      DurationOrZeroFlag("warmup",
                         "How long calls are sent before any is counted. "
                         "Default: 5s.",
                         &load->warmup),
      MixFlag("counts",
              "Images per call, 1 to 64: numbers with or without weights, or a "
              "range, such as 1,4,16 or 1:0.9,16:0.1 or 1-16. Default: 1.",
              &ParseCounts, &load->mix.counts),
      MixFlag("classes",
              "How urgent the calls are, such as interactive:0.8,batch:0.2. "
              "Default: interactive.",
              &ParseClasses, &load->mix.classes),
      MixFlag("deadlines",
              "Deadlines of the calls, from when they are due, such as "
              "none:0.5,2s:0.5. Default: none.",
              &ParseDeadlines, &load->mix.deadlines),
      FractionFlag("cancel", "SHARE",
                   "Share of the calls that their caller cancels, 0 to 1, at a "
                   "random moment within their stand-alone latency. Default: "
                   "0.",
                   0.0, 1.0, &load->mix.cancel),
      {"format", "png|raw8|float32", "What images are asked for. Default: png.",
       [load](const std::string& value) {
         return StoreFormat(value, &load->request);
       }},
      {"model", "NAME",
       "Which model. Default: the only one that the server has.",
       [load](const std::string& value) {
         load->request.set_model(value);
         return absl::OkStatus();
       }},
      NumberFlag("client_ids",
                 "Spreads the calls over so many callers, which the metadata "
                 "ddgan-client-id names bench-0, bench-1 and so on. Default: "
                 "none is named.",
                 1, 1'000'000, to_uint32(&load->mix.client_ids)),
      NumberFlag("seed",
                 "Seed of all that is random in the run, 0 to 2^64 - 1: when "
                 "calls are due, what they ask for, their noise. Default: 1.",
                 0, std::numeric_limits<uint64_t>::max(),
                 [load](uint64_t n) { load->seed = n; }),
      NumberFlag("seed_pool",
                 "Takes the noise seeds from so many, --seed and those after "
                 "it, so that images repeat. Default: every call has its own.",
                 1, 1'000'000, to_uint32(&load->mix.seed_pool)),
      SwitchFlag("verify",
                 "Compares images with earlier ones of the same version, seed "
                 "and index; the exit code is 1 if any has other bytes. Needs "
                 "--seed_pool.",
                 &load->verify),
      NumberFlag("standalone_calls",
                 "Calls of each count that are made one at a time before the "
                 "run, for the latency of a call that is alone, 0 to 1000. "
                 "Default: 5.",
                 0, 1000, to_uint32(&load->standalone_calls)),
      DurationFlag("timeout",
                   "A call without a reply after this long is given up and "
                   "counts as unanswered. Default: 1m.",
                   &load->timeout),
      NumberFlag("max_outstanding",
                 "An open loop does not send a call while so many have no "
                 "reply; it counts as unsent. Default: 10000.",
                 1, 1'000'000, to_uint32(max_outstanding)),
      TextFlag("json", "FILE",
               "Also writes the report as JSON, with a row per second; - is "
               "standard output, the table then goes to standard error.",
               &command->json),
      TextFlag(
          "record", "FILE",
          "Also writes every call as a line of JSON, those of the warm-up, "
          "too: when it was due and ended, what became of it, and what "
          "made which bytes.",
          &command->record),
      ServerFlag(&command->address),
  };
  Append(SecurityFlags(&command->security), &flags);
  return flags;
}

absl::StatusOr<Command> ParseBench(absl::Span<const std::string> arguments,
                                   const std::string& default_server) {
  BenchCommand command;
  command.address = default_server;
  LoadOptions& load = command.load;
  const absl::Duration default_duration = load.duration;
  load.duration = absl::ZeroDuration();
  uint32_t max_outstanding = 0;
  const std::vector<Flag> flags = BenchFlags(&command, &max_outstanding);
  if (AsksForHelp(arguments)) {
    return HelpCommand{absl::StrCat(kBenchUsage, FlagsHelp(flags))};
  }
  if (absl::Status parsed = ParseFlags(arguments, flags); !parsed.ok()) {
    return parsed;
  }
  if (absl::Status s =
          CheckConnectionSecurity(command.address, command.security);
      !s.ok()) {
    return s;
  }
  if ((load.concurrency > 0) == (load.rate > 0.0)) {
    return absl::InvalidArgumentError(
        "wanted either --concurrency=N or --rate=CALLS");
  }
  if (load.calls > 0 && load.duration > absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "wanted either --duration=DURATION or --calls=N");
  }
  if (load.duration == absl::InfiniteDuration() ||
      load.warmup == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        "--duration and --warmup must have an end");
  }
  if (load.calls > 0) {
    load.duration = absl::InfiniteDuration();
  } else if (load.duration == absl::ZeroDuration()) {
    load.duration = default_duration;
  }
  if (max_outstanding > 0) {
    if (load.concurrency > 0) {
      return absl::InvalidArgumentError(
          "--max_outstanding bounds an open loop; leave it out with "
          "--concurrency");
    }
    load.max_outstanding = max_outstanding;
  }
  if (load.verify && load.mix.seed_pool == 0) {
    return absl::InvalidArgumentError(
        "--verify compares images that repeat; it needs --seed_pool=N");
  }
  if (load.mix.cancel > 0.0 && load.standalone_calls == 0) {
    return absl::InvalidArgumentError(
        "--cancel needs to know what a call takes that is alone; "
        "--standalone_calls must be at least 1");
  }
  return command;
}

absl::StatusOr<Command> ParseGenerate(absl::Span<const std::string> arguments,
                                      const std::string& default_server) {
  GenerateCommand command;
  command.server = {default_server, absl::Minutes(5), {}};
  const std::vector<Flag> flags = GenerateFlags(&command);
  if (AsksForHelp(arguments)) {
    return HelpCommand{absl::StrCat(kGenerateUsage, FlagsHelp(flags))};
  }
  if (absl::Status parsed = ParseFlags(arguments, flags); !parsed.ok()) {
    return parsed;
  }
  if (absl::Status s = CheckServer(command.server); !s.ok()) return s;
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
  if (command.guide_file.empty() && command.request.has_guide()) {
    return absl::InvalidArgumentError(
        "--guide_steps and --guide_fit are of use only with --guide=FILE");
  }
  if (!command.guide_file.empty() && command.request.guide().steps() == 0) {
    return absl::InvalidArgumentError(
        "--guide needs the number of steps to run from it: --guide_steps=N");
  }
  if (command.count - 1 > kMaxUint32 - command.request.first_index()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--first_index=", command.request.first_index(), " --count=",
        command.count, ": the last index must be at most ", kMaxUint32));
  }
  return command;
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

absl::StatusOr<Command> ParseModels(absl::Span<const std::string> arguments,
                                    const std::string& default_server) {
  ModelsCommand command;
  command.server = {default_server, absl::ZeroDuration(), {}};
  std::vector<Flag> flags = {
      ServerFlag(&command.server.address),
      DurationFlag("timeout",
                   "Longest time to wait for the server and, with pin and "
                   "rollback, for the version to be live; with watch, how long "
                   "to watch. Such as 90s, 2m or 250ms. Default: 10s; 5m with "
                   "pin and rollback; no end with watch.",
                   &command.server.timeout),
  };
  Append(SecurityFlags(&command.server.security), &flags);
  if (AsksForHelp(arguments)) {
    return HelpCommand{absl::StrCat(kModelsUsage, FlagsHelp(flags))};
  }
  std::vector<std::string> operands;
  absl::Status parsed = ParseFlags(arguments, flags, &operands);
  if (parsed.ok()) parsed = TakeModelsOperands(operands, &command);
  if (parsed.ok()) parsed = CheckServer(command.server);
  if (!parsed.ok()) return parsed;
  if (command.server.timeout == absl::ZeroDuration()) {
    command.server.timeout = DefaultTimeout(command.action);
  }
  return command;
}

absl::StatusOr<Command> ParseHealth(absl::Span<const std::string> arguments,
                                    const std::string& default_server) {
  HealthCommand command;
  command.server = {default_server, absl::Seconds(10), {}};
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
  if (absl::Status s = CheckServer(command.server); !s.ok()) return s;
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
  } else if (name == "bench") {
    command = ParseBench(rest, default_server);
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
