// ddgan-evaluate nearest: whether a model copies the pictures that it was
// trained on. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_NEAREST_COMMAND_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_NEAREST_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/evaluation/metrics/neighbour_metrics.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"
#include "trainer/evaluation/session/measured_pictures.h"

namespace ddgan {

// Real pictures beside each generated one (figure 4 of the paper).
inline constexpr int kShownNeighbours = 5;

struct NearestOptions {
  std::string text;  // Of --help: print it and end.
  PictureOptions pictures;
  MeasureOptions measure;
  std::string test_data;  // Empty: the other split of mnist and cifar10.
  int64_t samples = 0;    // 0: 1000, or all if there are fewer. [1, 1e6]
  int shown = 10;         // Of them, in the grid. [1, 256]
  std::string out;        // Folder.
  bool json = false;
};

// InvalidArgument with a sentence for the user.
absl::StatusOr<NearestOptions> ParseNearest(const CommandInput& input);

// Distances from pictures to their nearest training picture.
struct DistanceSummary {
  int64_t pictures = 0;
  double lowest = 0;
  double percent_1 = 0;  // 1 % are nearer.
  double median = 0;
};
// `distances` is not empty.
DistanceSummary Summarise(std::vector<double> distances);

// In one space.
struct SpaceReport {
  DistanceSummary measured;
  // Without a test split there are none.
  std::optional<DistanceSummary> test;
  // Share of measured pictures that are nearer than 99 % of the test pictures:
  // about 0.01 of pictures that are as new as those. [0, 1] Not set either if 1
  // % of the test pictures are among the real ones: nothing is nearer.
  std::optional<double> suspicious_share;
};
// Of the distances of pictures, at least one, and of test pictures, if any.
SpaceReport CompareDistances(const std::vector<double>& measured,
                             const std::vector<double>& test);

struct NearestReport {
  std::optional<MeasuredVersion> version;
  std::string pictures;  // As in QualityReport.
  uint64_t seed = 0;
  std::string dataset;
  std::string data_choice;  // DataChoiceText.
  int64_t data_samples = 0;
  std::string features;
  std::string features_digest;
  SpaceReport in_features;
  SpaceReport in_pixels;  // Euclidean, values / 255.
  std::string out;
};

// More than this share in both spaces counts as copying.
inline constexpr double kCopyingShare = 0.1;

// Whether the model copies; not set without a share in both spaces.
std::optional<bool> Copies(const NearestReport& report);

// The `k` nearest pictures of `among`, whose first `rows` are looked at, for
// each of `queries` [n, S, S, C]; as NearestRows, on pixels. Memory is that of
// some blocks of BlockRows, whatever `rows`, n and S are.
absl::StatusOr<std::vector<Neighbour>> NearestPictures(
    absl::Span<const uint8_t> queries, DatasetPictures* among, int64_t rows,
    int k, EvaluationProgress* progress);

// What to print; also writes the files of --out.
absl::StatusOr<std::string> RunNearest(const NearestOptions& options,
                                       const Environment& environment,
                                       EvaluationProgress* progress);

// Lines of at most 80 columns, but for names of classes.
std::string NearestTable(const NearestReport& report);
// One object in one line, which ends it. Keys: evaluation ("nearest"), model,
// version, digest, sampler, pictures, seed, data, data_choice, data_samples,
// features, features_digest, copies (null where Copies is not set), out;
// in_features and in_pixels: objects of measured and test (null without), each
// of pictures, lowest, percent_1 and median, and of suspicious_share
// (likewise).
std::string NearestJson(const NearestReport& report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_NEAREST_COMMAND_H_
