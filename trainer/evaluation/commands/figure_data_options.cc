#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/commands/figure_data_command.h"

namespace ddgan {
namespace {

constexpr char kFigure[] = "Figure";

constexpr char kAbout[] =
    R"(Numbers that figures are drawn from, as a folder of .npy files and a figure.json
that describes them. The programs in trainer/evaluation/figures/ draw.

  strip
      A real picture on its way to noise, and at each step three pictures that
      the model makes of what is left, with three latents.
  grid
      The first pictures of a seed.

  ddgan-evaluate figure_data strip --model=MODEL_ROOT/mnist/12060 \
      --data=MNIST_DIR --out=strip/
)";

// That each flag of the command line is of the figure, which is not `other`.
absl::Status CheckFlags(const ProgramOptions& parsed, const std::string& other,
                        const std::set<std::string>& of_other) {
  for (const GivenOption& given : parsed.given) {
    if (given.origin != kFromCommandLine || of_other.count(given.name) == 0) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("--", given.name, " is of ", other));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FigureDataOptions> ParseFigureData(const CommandInput& input) {
  using Kind = FigureDataOptions::Kind;
  FigureDataOptions options;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      EvaluateProgram(input, "figure_data",
                      {"strip --model=DIR --data=PATH --out=DIR [flags]",
                       "grid --model=DIR --out=DIR [flags]"},
                      kAbout, 1),
      JoinedRows(
          {ModelRows(&options.pictures),
           {{"data", kFigure, "PATH", &options.data, kNotEmpty,
             "where the real pictures are, as for ddgan-train; of strip", ""},
            {"dataset", kFigure, "KIND", &options.dataset, kNotEmpty,
             "what they are; of strip", "what the version was trained on"}},
           DataChoiceRows(&options.choice, kFigure),
           {{"picture", kFigure, "INDEX", &options.picture, AtLeast(0),
             "which of them; of strip"},
            {"samples", kFigure, "PICTURES", &options.samples, Between(1, 1024),
             "pictures of grid"},
            {"columns", kFigure, "", &options.columns, Between(1, 64),
             "of grid"},
            {"out", kFigure, "DIR", &options.out, kNotEmpty,
             "folder for the files, made if it is missing", kRequired},
            ThreadsRow(&options.threads)}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  options.text = parsed->text;
  if (!options.text.empty()) return options;
  const std::string kind =
      parsed->operands.empty() ? "" : parsed->operands.front();
  if (kind != "strip" && kind != "grid") {
    return absl::InvalidArgumentError(
        absl::StrCat("which figure is '", kind, "', must be strip or grid"));
  }
  options.kind = kind == "strip" ? Kind::kStrip : Kind::kGrid;
  if (options.kind == Kind::kStrip && options.data.empty()) {
    return absl::InvalidArgumentError("strip needs --data=PATH");
  }
  if (options.kind == Kind::kStrip && !options.pictures.sampler.empty()) {
    return absl::InvalidArgumentError(
        "--sampler is of grid; strip shows one evaluation at each step");
  }
  const absl::Status flags =
      options.kind == Kind::kStrip
          ? CheckFlags(*parsed, "grid", {"samples", "columns", "threads"})
          : CheckFlags(*parsed, "strip",
                       {"data", "dataset", "picture", "classes",
                        "dataset_limit", "convert", "data_seed"});
  if (!flags.ok()) return flags;
  if (absl::Status s = CheckPictureOptions(options.pictures); !s.ok()) return s;
  return options;
}

}  // namespace ddgan
