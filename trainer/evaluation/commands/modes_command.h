// ddgan-evaluate modes: how many modes of a toy problem a model covers. No
// LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_MODES_COMMAND_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_MODES_COMMAND_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/evaluation/commands/modes_report.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"

namespace ddgan {

struct ModesOptions {
  std::string text;  // Of --help: print it and end.
  ModesKind kind = ModesKind::kMnist;
  // --images is not among them. Without a model if `real`.
  PictureOptions pictures;
  bool real = false;       // Pictures of the data set instead of a model's.
  std::string data;        // Folder of MNIST's files; empty for Gaussians.
  std::string classifier;  // File; written if it is missing. Empty: in `cache`.
  std::string cache;       // Empty: DefaultCacheFolder.
  // [1, 1e6]. Default: 10,000 for mnist, 26,000 for stacked_mnist, 2,500 for
  // 25_gaussians.
  int64_t samples = 0;
  int threads = 0;  // [0, 256]; 0: one per processor.
  bool json = false;
};

// InvalidArgument with a sentence for the user.
absl::StatusOr<ModesOptions> ParseModes(const CommandInput& input);

// The figures, and the same as text.
absl::StatusOr<ModesReport> MeasureModes(const ModesOptions& options,
                                         const Environment& environment,
                                         EvaluationProgress* progress);
absl::StatusOr<std::string> RunModes(const ModesOptions& options,
                                     const Environment& environment,
                                     EvaluationProgress* progress);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_MODES_COMMAND_H_
