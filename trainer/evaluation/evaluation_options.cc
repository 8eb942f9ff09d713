#include "trainer/evaluation/evaluation_options.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr int64_t kMaxSamples = 1'000'000;
constexpr int kMaxThreads = 256;

constexpr char kHelp[] =
    R"(ddgan-evaluate: how much of MNIST or Stacked-MNIST a published model covers.

  ddgan-evaluate mnist --model=MODEL_ROOT/MODEL/VERSION --data=DIR \
      --classifier=FILE
  ddgan-evaluate stacked_mnist --model=MODEL_ROOT/MODEL/VERSION --data=DIR \
      --classifier=FILE
  ddgan-evaluate stacked_mnist --real --data=DIR --classifier=FILE

Makes pictures as the server would, has a classifier of digits look at them (at
each channel, for stacked_mnist), and prints how many of the 10 or 1000 modes
were seen, and the Kullback-Leibler divergence from the uniform distribution in
nats beside what uniform pictures would have on average. Exit code: 0 done, 1
failed, 2 wrong usage.

  --model=FOLDER
      the version to evaluate: MODEL_ROOT/MODEL/VERSION
  --real
      pictures of the data set instead of a model's, to check the measure
  --data=DIR
      MNIST's four files, gzipped or not: train-images-idx3-ubyte,
      train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte
  --classifier=FILE
      the classifier's weights; where there is no such file, it is trained on the
      training images (a minute) and written there
  --samples=N
      pictures to look at, in [1, 1000000]; 10000 for mnist, and 26000, as in the
      literature, for stacked_mnist
  --seed=0
      of the pictures: the first N images of this seed
  --threads=0
      pictures that are made side by side, in [0, 256]; 0: one per processor
  --json
      one line of JSON instead of a table
  --help
      print this, and end
)";

bool IsSwitch(const std::string& name) {
  return name == "real" || name == "json";
}

bool TakesValue(const std::string& name) {
  return name == "model" || name == "data" || name == "classifier" ||
         name == "samples" || name == "seed" || name == "threads";
}

absl::Status OutOfRange(const std::string& name, const std::string& value,
                        const std::string& allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", name, " is '", value, "', must be ", allowed));
}

absl::Status SetOption(const std::string& name, const std::string& value,
                       EvaluationOptions* options) {
  if (IsSwitch(name)) {
    bool& field = name == "real" ? options->real : options->json;
    if (!absl::SimpleAtob(value, &field)) {
      return OutOfRange(name, value, "true or false");
    }
  } else if (name == "samples") {
    if (!absl::SimpleAtoi(value, &options->samples) || options->samples < 1 ||
        options->samples > kMaxSamples) {
      return OutOfRange(name, value, absl::StrCat("in [1, ", kMaxSamples, "]"));
    }
  } else if (name == "seed") {
    if (!absl::SimpleAtoi(value, &options->seed)) {
      return OutOfRange(name, value, "in [0, 18446744073709551615]");
    }
  } else if (name == "threads") {
    if (!absl::SimpleAtoi(value, &options->threads) || options->threads < 0 ||
        options->threads > kMaxThreads) {
      return OutOfRange(name, value, absl::StrCat("in [0, ", kMaxThreads, "]"));
    }
  } else {
    std::string& field = name == "model"  ? options->model
                         : name == "data" ? options->data
                                          : options->classifier;
    if (value.empty()) return OutOfRange(name, value, "a path");
    field = value;
  }
  return absl::OkStatus();
}

absl::Status CheckComplete(const EvaluationOptions& options) {
  if (options.real && !options.model.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--real and --model='", options.model,
                     "' exclude each other: give one of them"));
  }
  if (!options.real && options.model.empty()) {
    return absl::InvalidArgumentError(
        "--model is missing, must be MODEL_ROOT/MODEL/VERSION (or give "
        "--real)");
  }
  if (options.data.empty()) {
    return absl::InvalidArgumentError(
        "--data is missing, must be the folder of MNIST's files");
  }
  if (options.classifier.empty()) {
    return absl::InvalidArgumentError(
        "--classifier is missing, must be a file, which is written if it is "
        "not there");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EvaluationOptions> ParseEvaluationOptions(
    const std::vector<std::string>& arguments) {
  EvaluationOptions options;
  std::optional<EvaluationKind> kind;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--help") {
      options.help = true;
      return options;
    }
    if (!absl::StartsWith(argument, "--")) {
      if (kind.has_value()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "unexpected argument '", argument,
            "': flags begin with --, and what to evaluate is said once"));
      }
      for (const EvaluationKind known :
           {EvaluationKind::kMnist, EvaluationKind::kStackedMnist}) {
        if (argument == EvaluationName(known)) kind = known;
      }
      if (!kind.has_value()) {
        return absl::InvalidArgumentError(
            absl::StrCat("what to evaluate is '", argument,
                         "', must be mnist or stacked_mnist"));
      }
      continue;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals - 2);
    if (!IsSwitch(name) && !TakesValue(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag --", name, ": --help lists them"));
    }
    std::string value = "true";  // Of a switch that stands alone.
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (TakesValue(name)) {
      if (i + 1 == arguments.size() ||
          absl::StartsWith(arguments[i + 1], "--")) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", name, " needs a value, as --", name, "=..."));
      }
      value = arguments[++i];
    }
    if (absl::Status s = SetOption(name, value, &options); !s.ok()) return s;
  }
  if (!kind.has_value()) {
    return absl::InvalidArgumentError(
        "what to evaluate is missing, must be mnist or stacked_mnist");
  }
  options.kind = *kind;
  if (options.samples == 0) {
    options.samples = *kind == EvaluationKind::kMnist ? 10'000 : 26'000;
  }
  if (absl::Status s = CheckComplete(options); !s.ok()) return s;
  return options;
}

const char* EvaluationName(EvaluationKind kind) {
  return kind == EvaluationKind::kMnist ? "mnist" : "stacked_mnist";
}

std::string EvaluationHelp() { return kHelp; }

}  // namespace ddgan
