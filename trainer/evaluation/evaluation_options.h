// The options of ddgan-evaluate. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_EVALUATION_OPTIONS_H_
#define DDGAN_TRAINER_EVALUATION_EVALUATION_OPTIONS_H_

#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/base/program_options.h"

namespace ddgan {

enum class EvaluationKind {
  kMnist,         // Gray pictures of one digit: 10 modes.
  kStackedMnist,  // A digit in each of three channels: 1000 modes.
};

struct EvaluationOptions {
  // Of --help or --version: print it and end. The rest then means nothing.
  std::string text;
  EvaluationKind kind = EvaluationKind::kMnist;
  std::string model;       // Folder of a version. Empty if `real`.
  std::string data;        // Folder of MNIST's files.
  std::string classifier;  // File; written if it is missing.
  bool real = false;       // Pictures of the data set instead of a model's.
  // [1, 1e6]. Default: 10,000 for mnist, 26,000 for stacked_mnist.
  int64_t samples = 0;
  uint64_t seed = 0;
  int threads = 0;  // [0, 256]; 0: one per processor.
  bool json = false;
};

// Of the arguments after the program's name: what to evaluate, and flags, in
// any order; and of the environment (DDGAN_EVALUATE_...) and a file, as
// program_options.h says.
//   InvalidArgument  names what is unknown, missing or out of its range
absl::StatusOr<EvaluationOptions> ParseEvaluationOptions(
    absl::Span<const std::string> arguments,
    const Environment& environment = OwnEnvironment());

// "mnist" or "stacked_mnist", as on the command line.
const char* EvaluationName(EvaluationKind kind);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_EVALUATION_OPTIONS_H_
