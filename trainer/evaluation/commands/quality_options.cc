#include <algorithm>

#include "absl/status/status.h"
#include "trainer/evaluation/commands/quality_command.h"

namespace ddgan {
namespace {

constexpr char kMetrics[] = "Metrics";

constexpr char kAbout[] =
    R"(How far a model's pictures are from real ones, by features that a network
finds in both:

  FD         Frechet distance of their Gaussians; called FID of Inception's
             features alone
  KID        unbiased squared MMD with the kernel (a b / d + 1)^3, on 100
             subsets of 1,000
  IS         exp of the mean KL(p(y | x) || p(y)) of the network's classes
  precision  share of the pictures in a ball of a real one: its k-th nearest
             real one is on the edge
  recall     share of the real ones in a ball of a picture
  density    balls of real ones around a picture, over k
  coverage   share of the real ones' balls with a picture in them

  ddgan-evaluate quality --model=MODEL_ROOT/mnist/12060 --data=MNIST_DIR
  ddgan-evaluate quality --images=faces/ --data=real/ --dataset=image_folder
  ddgan-evaluate quality --server=localhost:50051 --model=mnist \
      --data=MNIST_DIR --dataset=mnist

Figures compare only at the same number of pictures, network (digest), k and
splits, which are printed with them. A command that was interrupted, or killed,
goes on where it was when it is given again.
)";

}  // namespace

std::vector<Option> MetricRows(QualityMetrics* metrics) {
  return {
      {"samples", kMetrics, "PICTURES", &metrics->samples,
       Between(2, 10'000'000), "pictures to measure",
       "50000, as is usual, or as many as there are real ones"},
      {"k", kMetrics, "", &metrics->k, Between(1, 100),
       "which neighbour is on the edge of a ball. 3 is usual for precision and "
       "recall, 5 for density and coverage"},
      {"prdc", kMetrics, "", &metrics->prdc, kAny,
       "do not count what is just on the edge of a ball for precision and "
       "recall either, as the Python package prdc"},
      {"splits", kMetrics, "", &metrics->splits, Between(1, 1000),
       "parts whose IS are averaged; the paper's is of 1"},
  };
}

int64_t DefaultSamples(int64_t measured, int64_t real) {
  return std::min({kProtocolSamples, measured, real});
}

absl::StatusOr<QualityOptions> ParseQuality(const CommandInput& input) {
  QualityOptions options;
  const absl::StatusOr<ProgramOptions> parsed = ParseOptions(
      EvaluateProgram(input, "quality",
                      {"--model=DIR --data=PATH [flags]",
                       "--images=PATH --data=PATH --dataset=KIND [flags]"},
                      kAbout),
      JoinedRows({ModelRows(&options.pictures),
                  OtherPictureRows(&options.pictures),
                  {ThroughRow(&options.pictures.through)},
                  MetricRows(&options.metrics),
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
