#include "trainer/evaluation/evaluation_options.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/option_table.h"

namespace ddgan {
namespace {

constexpr char kPictures[] = "Pictures";
constexpr char kMeasure[] = "Measure";

constexpr char kAbout[] =
    "How much of MNIST or Stacked-MNIST a published model covers: makes "
    "pictures\n"
    "as the server would, has a classifier of digits look at them (at each\n"
    "channel, for stacked_mnist), and prints how many of the 10 or 1000 modes\n"
    "were seen, and the Kullback-Leibler divergence from the uniform\n"
    "distribution in nats beside what uniform pictures would have on "
    "average.\n";
constexpr char kNotes[] = "Exit codes: 0 done, 1 failed, 2 wrong usage.\n";

std::vector<Option> Table(EvaluationOptions* options) {
  return {
      {"model", kPictures, "DIR", &options->model, kNotEmpty,
       "the version to evaluate, MODEL_ROOT/MODEL/VERSION",
       "required unless --real"},
      {"real", kPictures, "", &options->real, kAny,
       "pictures of the data set instead of a model's, to check the measure"},
      {"samples", kPictures, "IMAGES", &options->samples, Between(1, 1'000'000),
       "pictures to look at",
       "10000 for mnist and, as in the literature, 26000 for stacked_mnist"},
      {"seed", kPictures, "", &options->seed, kAny,
       "of the pictures: the first ones of this seed"},
      {"threads", kPictures, "", &options->threads, Between(0, 256),
       "CPU threads that make pictures; 0: one for each CPU that the process "
       "may use"},
      {"data", kMeasure, "DIR", &options->data, kNotEmpty,
       "MNIST's four files, gzipped or not: train-images-idx3-ubyte, "
       "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
       "t10k-labels-idx1-ubyte",
       kRequired},
      {"classifier", kMeasure, "FILE", &options->classifier, kNotEmpty,
       "the classifier's weights; where there is no such file, it is trained "
       "on the training images (a minute) and written there",
       kRequired},
      {"json", kMeasure, "", &options->json, kAny,
       "one line of JSON instead of a table"},
  };
}

absl::Status SetKind(const std::vector<std::string>& operands,
                     EvaluationOptions* options) {
  constexpr char kWanted[] = ", must be mnist or stacked_mnist";
  if (operands.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("what to evaluate is missing", kWanted));
  }
  for (const EvaluationKind kind :
       {EvaluationKind::kMnist, EvaluationKind::kStackedMnist}) {
    if (operands[0] == EvaluationName(kind)) {
      options->kind = kind;
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("what to evaluate is '", operands[0], "'", kWanted));
}

}  // namespace

absl::StatusOr<EvaluationOptions> ParseEvaluationOptions(
    absl::Span<const std::string> arguments, const Environment& environment) {
  EvaluationOptions options;
  const absl::StatusOr<ProgramOptions> parsed =
      ParseOptions({.name = "ddgan-evaluate",
                    .environment = "DDGAN_EVALUATE_",
                    .usage = {"mnist|stacked_mnist --model=DIR [flags]",
                              "mnist|stacked_mnist --real [flags]"},
                    .about = kAbout,
                    .notes = kNotes,
                    .max_operands = 1},
                   Table(&options), arguments, environment);
  if (!parsed.ok()) return parsed.status();
  options.text = parsed->text;
  if (!options.text.empty()) return options;
  if (absl::Status s = SetKind(parsed->operands, &options); !s.ok()) return s;
  if (options.samples == 0) {
    options.samples = options.kind == EvaluationKind::kMnist ? 10'000 : 26'000;
  }
  if (options.real && !options.model.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--real and --model='", options.model,
                     "' exclude each other: give one of them"));
  }
  if (!options.real && options.model.empty()) {
    return absl::InvalidArgumentError(
        "--model is required, as --model=MODEL_ROOT/MODEL/VERSION (or give "
        "--real)");
  }
  return options;
}

const char* EvaluationName(EvaluationKind kind) {
  return kind == EvaluationKind::kMnist ? "mnist" : "stacked_mnist";
}

}  // namespace ddgan
