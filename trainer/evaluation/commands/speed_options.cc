#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/commands/speed_command.h"

namespace ddgan {
namespace {

constexpr char kModel[] = "Model";
constexpr char kTiming[] = "Timing";

constexpr char kAbout[] =
    R"(How long a model takes, by the paper's protocol: seconds for 100 images in one
batch, and for one alone, after a warm-up, as the mean of 30. Loading and PNG
files are not in it.

  ddgan-evaluate speed --model=MODEL_ROOT/mnist/12060
  ddgan-evaluate speed --random_weights --config=cifar10 --num_timesteps=1000 \
      --sampler=ddim:50 --timed_evaluations=3 --repeats=3

A network of random weights takes as long as a trained one. With
--timed_evaluations a few evaluations are timed, and multiplied by their number;
the report says so.
)";

}  // namespace

std::vector<Option> TimingRows(TimingOptions* timing) {
  return {
      {"repeats", kTiming, "BATCHES", &timing->repeats, Between(1, 1000),
       "batches that are timed"},
      {"warm_up", kTiming, "BATCHES", &timing->warm_up, Between(0, 100),
       "batches before them that are not"},
      {"timed_evaluations", kTiming, "N", &timing->timed_evaluations,
       Between(1, 1000),
       "time only so many evaluations of the generator in each batch, and "
       "multiply",
       "all"},
      {"device", kTiming, "", OneOf(&timing->device, {"cpu", "cuda"}), kAny,
       "cuda is the first GPU, in builds with CUDA"},
  };
}

absl::StatusOr<SpeedOptions> ParseSpeed(const CommandInput& input) {
  SpeedOptions options;
  options.batches = {100, 1};
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      EvaluateProgram(
          input, "speed",
          {"--model=DIR [flags]", "--random_weights --config=NAME [flags]"},
          kAbout),
      JoinedRows(
          {{{"model", kModel, "DIR", &options.model, kNotEmpty,
             "the version to run, MODEL_ROOT/MODEL/VERSION", ""},
            {"random_weights", kModel, "", &options.random_weights, kAny,
             "run the networks of --config with random weights instead"},
            {"config", kModel, "NAME", &options.config, kNotEmpty,
             "a configuration of ddgan-train, as cifar10, or ./FILE.json", ""},
            {"num_timesteps", kModel, "T", &options.num_timesteps,
             Between(1, 1000), "denoising steps of random weights",
             "the configuration's"},
            {"sampler", kModel, "RULE", &options.sampler, kNotEmpty,
             "ancestral, ddim:K or pc", "the version's own"},
            {"batches", kTiming, "N,...", &options.batches, Between(1, 256),
             "images at once; each is timed"}},
           TimingRows(&options.timing),
           {ThreadsRow(&options.timing.threads), JsonRow(&options.json)}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  options.text = parsed->text;
  if (!options.text.empty()) return options;
  if (options.random_weights != options.model.empty()) {
    return absl::InvalidArgumentError(
        "give either --model=MODEL_ROOT/MODEL/VERSION or --random_weights with "
        "--config=NAME");
  }
  if (options.random_weights == options.config.empty()) {
    return absl::InvalidArgumentError(
        options.random_weights
            ? "--random_weights needs --config=NAME, as --config=cifar10"
            : "--config goes only with --random_weights");
  }
  if (options.num_timesteps > 0 && !options.random_weights) {
    return absl::InvalidArgumentError(
        "--num_timesteps goes only with --random_weights: a version has its "
        "own");
  }
  if (options.batches.empty()) {
    return absl::InvalidArgumentError("--batches is empty, as --batches=100,1");
  }
  return options;
}

}  // namespace ddgan
