// The result of ddgan-evaluate for a person and for a program. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_EVALUATION_REPORT_H_
#define DDGAN_TRAINER_EVALUATION_EVALUATION_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "engine/api/generation.h"
#include "trainer/evaluation/digit_report.h"
#include "trainer/evaluation/evaluation_options.h"

namespace ddgan {

// A classifier that sees less of MNIST's test digits than this is no yardstick.
inline constexpr double kTrustedAccuracy = 0.985;

// Where a model's pictures came from.
struct EvaluatedModel {
  ModelIdentity identity;
  double images_per_second = 0;  // Of the sampler alone.
};

struct EvaluationReport {
  EvaluationKind kind = EvaluationKind::kMnist;
  // Not set: pictures of the data set.
  std::optional<EvaluatedModel> model;
  uint64_t seed = 0;
  // Share of MNIST's test digits that the classifier tells right. [0, 1]
  double classifier_accuracy = 0;
  DigitReport digits;
};

// Lines of at most 80 columns; the last says so if the classifier's accuracy is
// below kTrustedAccuracy.
std::string EvaluationTable(const EvaluationReport& report);

// One object in one line, which ends it. Keys: evaluation, pictures ("model" or
// "real"), model, version, digest and images_per_second (of models only), seed,
// samples, modes, modes_covered, kl, kl_floor (nats), mean_confidence,
// share_below_50, share_above_90, digit_share (10 numbers),
// classifier_accuracy, classifier_trusted (whether it reaches
// kTrustedAccuracy).
std::string EvaluationJson(const EvaluationReport& report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_EVALUATION_REPORT_H_
