#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/commands/modes_command.h"

namespace ddgan {
namespace {

constexpr char kPictures[] = "Pictures";
constexpr char kMeasure[] = "Measure";

constexpr char kAbout[] =
    R"(How many modes of a toy problem a model covers, and how evenly: makes pictures
as the server would, has a classifier of digits look at them (at each channel,
for stacked_mnist), and prints how many of the 10 or 1000 modes were seen, and
the Kullback-Leibler divergence from the uniform distribution in nats beside
what uniform pictures would have on average. Of 25_gaussians it looks at points,
each of the mode that it is within 3 standard deviations of.

  ddgan-evaluate modes mnist --model=MODEL_ROOT/mnist/12060 --data=MNIST_DIR
  ddgan-evaluate modes 25_gaussians --model=MODEL_ROOT/25_gaussians/20085
)";

constexpr ModesKind kKinds[] = {ModesKind::kMnist, ModesKind::kStackedMnist,
                                ModesKind::kGaussians};

std::vector<Option> Table(ModesOptions* options) {
  return JoinedRows(
      {ModelRows(&options->pictures),
       {{"server", kPictures, "HOST:PORT", &options->pictures.server, kNotEmpty,
         "pictures of a running server instead, by calls without TLS and "
         "token, however long they take; --model is then MODEL or "
         "MODEL/VERSION",
         ""},
        {"real", kPictures, "", &options->real, kAny,
         "pictures of the data set instead of a model's, to check the measure"},
        {"samples", kPictures, "IMAGES", &options->samples,
         Between(1, 1'000'000), "pictures or points to look at",
         "as in the literature: 10000 for mnist, 26000 for stacked_mnist, 2500 "
         "for 25_gaussians"},
        {"data", kMeasure, "DIR", &options->data, kNotEmpty,
         "MNIST's four files, gzipped or not: train-images-idx3-ubyte, "
         "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
         "t10k-labels-idx1-ubyte",
         "required of digits"}},
       ClassifierRows(&options->classifier, &options->cache),
       {ThreadsRow(&options->threads), JsonRow(&options->json)}});
}

absl::Status SetKind(const std::vector<std::string>& operands,
                     ModesOptions* options) {
  constexpr char kWanted[] = ", must be mnist, stacked_mnist or 25_gaussians";
  if (operands.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("what to evaluate is missing", kWanted));
  }
  for (const ModesKind kind : kKinds) {
    if (operands[0] == ModesName(kind)) {
      options->kind = kind;
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("what to evaluate is '", operands[0], "'", kWanted));
}

int64_t LiteratureSamples(ModesKind kind) {
  switch (kind) {
    case ModesKind::kMnist:
      return 10'000;
    case ModesKind::kStackedMnist:
      return 26'000;
    case ModesKind::kGaussians:
      break;
  }
  return 2'500;
}

absl::Status Check(const ModesOptions& options) {
  if (options.real) {
    const bool is_server = !options.pictures.server.empty();
    if (is_server || !options.pictures.model.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--real and --", is_server ? "server='" : "model='",
          is_server ? options.pictures.server : options.pictures.model,
          "' exclude each other: give one of them"));
    }
    if (!options.pictures.sampler.empty()) {
      return absl::InvalidArgumentError(
          "--sampler does not go with --real, which samples no model");
    }
  } else if (options.pictures.model.empty()) {
    return absl::InvalidArgumentError(
        "--model is required, as --model=MODEL_ROOT/MODEL/VERSION (or give "
        "--real)");
  } else if (absl::Status s = CheckPictureOptions(options.pictures); !s.ok()) {
    return s;
  }
  if (options.kind == ModesKind::kGaussians) {
    if (!options.pictures.server.empty()) {
      return absl::InvalidArgumentError(
          "--server does not go with 25_gaussians: no server makes points");
    }
    if (!options.data.empty() || !options.classifier.empty()) {
      return absl::InvalidArgumentError(
          "--data and --classifier do not go with 25_gaussians, whose points "
          "need none");
    }
  } else if (options.data.empty()) {
    return absl::InvalidArgumentError("--data is required, as --data=DIR");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModesOptions> ParseModes(const CommandInput& input) {
  ModesOptions options;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      EvaluateProgram(input, "modes",
                      {"mnist|stacked_mnist --model=DIR --data=DIR [flags]",
                       "25_gaussians --model=DIR [flags]",
                       "mnist|stacked_mnist|25_gaussians --real [flags]"},
                      kAbout, 1),
      Table(&options), input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  options.text = parsed->text;
  if (!options.text.empty()) return options;
  if (absl::Status s = SetKind(parsed->operands, &options); !s.ok()) return s;
  if (options.samples == 0) options.samples = LiteratureSamples(options.kind);
  if (absl::Status s = Check(options); !s.ok()) return s;
  return options;
}

}  // namespace ddgan
