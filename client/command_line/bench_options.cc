#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/command_line/command_options.h"
#include "client/load_generator/request_mix.h"

namespace ddgan {
namespace {

constexpr char kLoad[] = "Load";
constexpr char kCalls[] = "Calls";
constexpr char kReport[] = "Report";

constexpr char kAbout[] =
    R"(Sends calls to the server for a while and reports latencies, rates and errors.
Nothing is retried. A latency counts from when the call was due, whether or not
it could be sent then. Ctrl-C ends the load early and reports what there is.

  ddgan bench --concurrency=8 --counts=16
      8 callers, each waits for its reply before its next call
  ddgan bench --rate=20 --counts=1:0.9,16:0.1 --deadlines=none:0.5,2s:0.5
      20 calls a second on average, however long the replies take
  ddgan bench --rate=20 --counts=1-16 --seed_pool=8 --verify
      are the bytes of an image always the same?
)";

// Reads a list of values with weights.
template <typename T>
TextReader ReadMix(
    absl::StatusOr<std::vector<Weighted<T>>> (*parse)(const std::string&),
    std::vector<Weighted<T>>* target) {
  return [parse, target](absl::string_view text) {
    absl::StatusOr<std::vector<Weighted<T>>> list = parse(std::string(text));
    if (!list.ok()) return list.status();
    *target = *std::move(list);
    return absl::OkStatus();
  };
}

// `max_outstanding` stays 0 if it is not given.
std::vector<Option> LoadRows(LoadOptions* load, uint32_t* max_outstanding) {
  return {
      {"concurrency", kLoad, "CALLERS", &load->concurrency, Between(1, 100'000),
       "callers of a closed loop: each sends its next call when it has the "
       "reply to the one before",
       "none"},
      {"rate", kLoad, "CALLS", &load->rate, Between(0.001, 100'000),
       "calls per second of an open loop, on average: they are due at random "
       "times (Poisson), whatever the server does",
       "none"},
      {"duration", kLoad, "", TimeOrSeconds{&load->duration},
       Between(absl::Nanoseconds(1), absl::InfiniteDuration()),
       "how long calls are sent after the warm-up", "60s"},
      {"calls", kLoad, "", &load->calls, Between(1, 1'000'000'000),
       "calls after the warm-up, in the place of --duration", "none"},
      {"warmup", kLoad, "", TimeOrSeconds{&load->warmup},
       Between(absl::ZeroDuration(), absl::InfiniteDuration()),
       "how long calls are sent before any is counted"},
      {"max_outstanding", kLoad, "CALLS", max_outstanding,
       Between(1, 1'000'000),
       "an open loop does not send a call while so many have no reply; it "
       "counts as unsent",
       "10000"},
      {"seed", kLoad, "", &load->seed, kAny,
       "seed of all that is random in the run, 0 to 2^64 - 1: when calls are "
       "due, what they ask for, their noise"},
  };
}

std::vector<Option> CallRows(LoadOptions* load) {
  MixOptions* const mix = &load->mix;
  return {
      {"counts", kCalls, "LIST", ReadMix(&ParseCounts, &mix->counts), kAny,
       "images per call, 1 to 64: numbers with or without weights, or a range, "
       "such as 1,4,16 or 1:0.9,16:0.1 or 1-16",
       "1"},
      {"classes", kCalls, "LIST", ReadMix(&ParseClasses, &mix->classes), kAny,
       "how urgent the calls are, such as interactive:0.8,batch:0.2",
       "interactive"},
      {"deadlines", kCalls, "LIST", ReadMix(&ParseDeadlines, &mix->deadlines),
       kAny,
       "deadlines of the calls, from when they are due, such as "
       "none:0.5,2s:0.5",
       "none"},
      {"cancel", kCalls, "SHARE", &mix->cancel, Between(0, 1),
       "share of the calls that their caller cancels, at a random moment "
       "within their stand-alone latency"},
      {"client_ids", kCalls, "CALLERS", &mix->client_ids, Between(1, 1'000'000),
       "spread the calls over so many callers, which the metadata "
       "ddgan-client-id names bench-0, bench-1 and so on",
       "none is named"},
      {"seed_pool", kCalls, "SEEDS", &mix->seed_pool, Between(1, 1'000'000),
       "take the noise seeds from so many, --seed and those after it, so that "
       "images repeat",
       "every call has its own"},
  };
}

std::vector<Option> ReportRows(BenchCommand* command) {
  LoadOptions* const load = &command->load;
  return {
      {"verify", kReport, "", &load->verify, kAny,
       "compare images with earlier ones of the same version, seed and index; "
       "the exit code is 1 if any has other bytes. Needs --seed_pool"},
      {"standalone_calls", kReport, "CALLS", &load->standalone_calls,
       Between(0, 1000),
       "calls of each count that are made one at a time before the run, for "
       "the latency of a call that is alone"},
      {"json", kReport, "FILE", &command->json, kAny,
       "also write the report as JSON, with a row per second; - is standard "
       "output, the table then goes to standard error"},
      {"record", kReport, "FILE", &command->record, kAny,
       "also write every call as a line of JSON, those of the warm-up, too: "
       "when it was due and ended, what became of it, and what made which "
       "bytes"},
  };
}

absl::Status CheckLoad(const LoadOptions& load, uint32_t max_outstanding) {
  if ((load.concurrency > 0) == (load.rate > 0.0)) {
    return absl::InvalidArgumentError(
        "wanted either --concurrency=CALLERS or --rate=CALLS");
  }
  if (load.calls > 0 && load.duration > absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "wanted either --duration=TIME or --calls=N");
  }
  if (load.duration == absl::InfiniteDuration() ||
      load.warmup == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        "--duration and --warmup must have an end");
  }
  if (max_outstanding > 0 && load.concurrency > 0) {
    return absl::InvalidArgumentError(
        "--max_outstanding bounds an open loop; leave it out with "
        "--concurrency");
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
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Command> ParseBench(const CommandInput& input) {
  BenchCommand command;
  LoadOptions& load = command.load;
  const absl::Duration default_duration = load.duration;
  load.duration = absl::ZeroDuration();
  uint32_t max_outstanding = 0;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      CommandProgram("bench",
                     {"--concurrency=CALLERS [flags]", "--rate=CALLS [flags]"},
                     kAbout),
      Joined({LoadRows(&load, &max_outstanding),
              CallRows(&load),
              ImageRows(kCalls, &load.request),
              ReportRows(&command),
              ConnectionRows(&command.address, &command.security),
              {TimeoutRow(&load.timeout,
                          "a call without a reply after this long is given up "
                          "and counts as unanswered")}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  if (!parsed->text.empty()) return HelpCommand{parsed->text};
  absl::Status status =
      CheckConnectionSecurity(command.address, command.security);
  status.Update(CheckLoad(load, max_outstanding));
  if (!status.ok()) return status;
  if (load.calls > 0) {
    load.duration = absl::InfiniteDuration();
  } else if (load.duration == absl::ZeroDuration()) {
    load.duration = default_duration;
  }
  if (max_outstanding > 0) load.max_outstanding = max_outstanding;
  return command;
}

}  // namespace ddgan
