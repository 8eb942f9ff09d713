// The result of `ddgan-evaluate modes` for a person and for a program. No
// LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_MODES_REPORT_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_MODES_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "engine/api/generation.h"
#include "trainer/evaluation/digit_report.h"
#include "trainer/evaluation/mode_coverage.h"

namespace ddgan {

// A classifier that sees less of MNIST's test digits than this is no yardstick.
inline constexpr double kTrustedAccuracy = 0.985;

enum class ModesKind {
  kMnist,         // Gray pictures of one digit: 10 modes.
  kStackedMnist,  // A digit in each of three channels: 1000 modes.
  kGaussians,     // Points in the plane: 25 modes.
};

// "mnist", "stacked_mnist" or "25_gaussians", as on the command line.
const char* ModesName(ModesKind kind);

// Where a model's pictures or points came from.
struct EvaluatedModel {
  ModelIdentity identity;
  std::string sampler;           // Its update rule; empty: not known.
  int evaluations = 0;           // Of the generator for one; 0: not known.
  double images_per_second = 0;  // Of the sampler alone; 0: not known.
};

// Of pictures of digits.
struct DigitModes {
  // Share of MNIST's test digits that the classifier tells right. [0, 1]
  double classifier_accuracy = 0;
  DigitReport digits;
};

struct ModesReport {
  ModesKind kind = ModesKind::kMnist;
  // Not set: real pictures or points.
  std::optional<EvaluatedModel> model;
  uint64_t seed = 0;
  std::variant<DigitModes, GaussianCoverage> found;
};

// Lines of at most 80 columns; the last says so if the classifier's accuracy is
// below kTrustedAccuracy.
std::string ModesTable(const ModesReport& report);

// One object in one line, which ends it. Keys: evaluation ("modes"), problem,
// pictures ("model" or "real"), model, version, digest, sampler, evaluations
// and images_per_second (of models only, the last three where known), seed,
// samples, modes, modes_covered, kl (nats; null if no point is of high
// quality), kl_floor (of uniform samples, null likewise); of digits also
// mean_confidence, share_below_50, share_above_90, digit_share (10 numbers),
// classifier_accuracy, classifier_trusted (whether it reaches
// kTrustedAccuracy); of Gaussians also high_quality_share.
std::string ModesJson(const ModesReport& report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_MODES_REPORT_H_
