#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/commands/trilemma_command.h"

namespace ddgan {
namespace {

constexpr char kPictures[] = "Pictures";
constexpr size_t kMaxModels = 64;

constexpr char kAbout[] =
    R"(Quality, coverage and time of several models and samplers, at the same number
of pictures, data and features: what a figure of the generative trilemma is
drawn from.

  ddgan-evaluate trilemma ROOT/ddgan/4000 ROOT/ddpm/4000 \
      ROOT/ddpm/4000:ddim:50 --data=MNIST_DIR --samples=10000

What is measured of a model is kept, so that a command which was interrupted
goes on, and one with another model more measures only that one. Times are
measured anew.
)";

}  // namespace

ModelAndSampler ParseModelAndSampler(const std::string& text) {
  const size_t slash = text.rfind('/');
  const size_t colon = text.find(':', slash == std::string::npos ? 0 : slash);
  if (colon == std::string::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

absl::StatusOr<TrilemmaOptions> ParseTrilemma(const CommandInput& input) {
  TrilemmaOptions options;
  // A model of many steps takes a quarter of an hour for a batch.
  options.timing.repeats = 5;
  std::vector<Option> timing = TimingRows(&options.timing);
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      EvaluateProgram(input, "trilemma",
                      {"VERSION_DIR[:SAMPLER]... --data=PATH [flags]"}, kAbout,
                      kMaxModels),
      JoinedRows({{{"seed", kPictures, "", &options.seed, kAny,
                    "of the pictures, which are the first ones of this seed"},
                   ThroughRow(&options.through)},
                  MetricRows(&options.metrics),
                  std::move(timing),
                  MeasureRows(&options.measure),
                  {JsonRow(&options.json)}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  options.text = parsed->text;
  if (!options.text.empty()) return options;
  if (parsed->operands.empty()) {
    return absl::InvalidArgumentError(
        "which models? as MODEL_ROOT/MODEL/VERSION or "
        "MODEL_ROOT/MODEL/VERSION:ddim:50");
  }
  for (const std::string& operand : parsed->operands) {
    options.models.push_back(ParseModelAndSampler(operand));
  }
  return options;
}

}  // namespace ddgan
