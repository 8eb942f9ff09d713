#include "absl/status/status.h"
#include "trainer/evaluation/commands/nearest_command.h"

namespace ddgan {
namespace {

constexpr char kNearest[] = "Nearest pictures";

constexpr char kAbout[] =
    R"(The real pictures that are nearest to a model's, in the space of features and
in that of pixels: a model that only copies what it was trained on shows here.
How near is near is told by real pictures that it was not trained on.

  ddgan-evaluate nearest --model=MODEL_ROOT/mnist/12060 --data=MNIST_DIR \
      --out=nearest/

writes nearest/nearest.png, with a generated picture and its five nearest real
ones in each row, and the same as figure.json and .npy files.
)";

}  // namespace

absl::StatusOr<NearestOptions> ParseNearest(const CommandInput& input) {
  NearestOptions options;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      EvaluateProgram(input, "nearest",
                      {"--model=DIR --data=PATH --out=DIR [flags]"}, kAbout),
      JoinedRows(
          {ModelRows(&options.pictures),
           OtherPictureRows(&options.pictures),
           {{"samples", kNearest, "PICTURES", &options.samples,
             Between(1, 1'000'000), "pictures whose distances are taken",
             "1000, or all if there are fewer"},
            {"shown", kNearest, "PICTURES", &options.shown, Between(1, 256),
             "of them, the first so many are in the grid"},
            {"test_data", kNearest, "PATH", &options.test_data, kNotEmpty,
             "real pictures that the model was not trained on, of the same "
             "kind as --data, with the same --classes and --convert; at least "
             "100",
             "the test split in --data of mnist and cifar10; else none"},
            {"out", kNearest, "DIR", &options.out, kNotEmpty,
             "folder for the grid and its numbers, made if it is missing",
             kRequired}},
           MeasureRows(&options.measure),
           {JsonRow(&options.json)}}),
      input.arguments, input.environment);
  if (!parsed.ok()) return parsed.status();
  options.text = parsed->text;
  if (!options.text.empty()) return options;
  if (absl::Status s = CheckPictureOptions(options.pictures); !s.ok()) return s;
  return options;
}

}  // namespace ddgan
