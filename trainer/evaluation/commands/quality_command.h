// ddgan-evaluate quality: how far pictures are from real ones. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_QUALITY_COMMAND_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_QUALITY_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/evaluation/metrics/inception_score.h"
#include "trainer/evaluation/metrics/kernel_distance.h"
#include "trainer/evaluation/metrics/neighbour_metrics.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"
#include "trainer/evaluation/session/feature_session.h"
#include "trainer/evaluation/session/measured_pictures.h"

namespace ddgan {

// The published protocol's number of pictures.
inline constexpr int64_t kProtocolSamples = 50'000;

// What is computed of the features of both sets.
struct QualityMetrics {
  int64_t samples = 0;  // 0: DefaultSamples. [2, 1e7]
  int k = 3;            // Of the neighbours. [1, 100]
  bool prdc = false;    // Strict balls, also for precision and recall.
  int splits = 10;      // Of IS. [1, 1000]
};

struct QualityOptions {
  std::string text;  // Of --help: print it and end.
  PictureOptions pictures;
  MeasureOptions measure;
  QualityMetrics metrics;
  bool json = false;
};

// InvalidArgument with a sentence for the user.
absl::StatusOr<QualityOptions> ParseQuality(const CommandInput& input);
// --samples, --k, --prdc and --splits.
std::vector<Option> MetricRows(QualityMetrics* metrics);

// The protocol's, but no more than there are measured or real pictures.
int64_t DefaultSamples(int64_t measured, int64_t real);

struct QualityReport {
  // What was measured: a version, or else pictures of a path.
  std::optional<MeasuredVersion> version;
  std::string pictures;  // The path, the server's address, or empty.
  PictureCoding through = PictureCoding::kPng;
  uint64_t seed = 0;
  int64_t samples = 0;
  // Against what.
  std::string dataset;
  std::string data_choice;  // DataChoiceText.
  int64_t data_samples = 0;
  // By what.
  std::string features;
  std::string features_digest;
  int64_t feature_count = 0;
  std::string fd_name;
  int k = 0;
  bool strict = false;

  double fd = 0;
  KernelDistance kid;             // Of subsets.
  std::optional<double> kid_all;  // Where both sets are of one size.
  // Where the network has classes.
  std::optional<InceptionScore> inception;
  NeighbourMetrics neighbours;
  // All measured pictures have the same features.
  bool constant = false;
};

// Figures of the features of `pictures` against the session's real ones.
// `report` has what is not computed. Sets LibTorch's threads. What the metrics
// and Collect fail with.
absl::StatusOr<QualityReport> MeasureQuality(MeasuredPictures* pictures,
                                             const QualityMetrics& metrics,
                                             PictureCoding through,
                                             uint64_t seed, int threads,
                                             FeatureSession* session);

// What to print.
absl::StatusOr<std::string> RunQuality(const QualityOptions& options,
                                       const Environment& environment,
                                       EvaluationProgress* progress);

// Lines of at most 80 columns, but for names of classes.
std::string QualityTable(const QualityReport& report);
// One object in one line, which ends it. Keys: evaluation ("quality"), model,
// version, digest, sampler and evaluations (null where not known), pictures,
// through, seed, samples, data, data_choice, data_samples, features,
// features_digest, feature_count, fd_name, fd, kid, kid_stddev, kid_subsets,
// kid_subset, kid_all (null where the sets are not of one size), is, is_stddev,
// is_splits (null without classes), k, strict, precision, recall, density,
// coverage, constant.
std::string QualityJson(const QualityReport& report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_QUALITY_COMMAND_H_
