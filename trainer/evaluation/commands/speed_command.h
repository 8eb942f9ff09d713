// ddgan-evaluate speed: how long a model takes. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_SPEED_COMMAND_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_SPEED_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/checkpoint/model_directory.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"

namespace ddgan {

// Of the protocol: 100 images in one batch, after a warm-up, mean of 30.
struct TimingOptions {
  int repeats = 30;            // [1, 1000]
  int warm_up = 1;             // Batches before the first that counts. [0, 100]
  int timed_evaluations = 0;   // 0: all. Else so many are timed. [1, 1000]
  std::string device = "cpu";  // "cpu", or "cuda" in a build with CUDA.
  int threads = 0;
};

struct SpeedOptions {
  std::string text;  // Of --help: print it and end.
  std::string model;
  std::string sampler;  // Empty: the version's own.
  // Instead of a model: the networks of a configuration, not trained.
  bool random_weights = false;
  std::string config;
  int num_timesteps = 0;     // Of them; 0: the configuration's.
  std::vector<int> batches;  // Images at once. Each in [1, 256]
  TimingOptions timing;
  bool json = false;
};

// InvalidArgument with a sentence for the user.
absl::StatusOr<SpeedOptions> ParseSpeed(const CommandInput& input);

// --repeats, --timed_evaluations and so on.
std::vector<Option> TimingRows(TimingOptions* timing);

struct BatchTime {
  int batch = 0;
  int repeats = 0;
  double seconds = 0;  // Mean for the batch.
  double stddev = 0;   // Of the population of repeats.
};

struct SpeedReport {
  std::string model;  // "mnist/12060", or the configuration's name.
  bool random_weights = false;
  std::string sampler;
  int evaluations = 0;        // For one image.
  int timed_evaluations = 0;  // Of them; fewer than all: multiplied.
  int64_t parameters = 0;
  std::string device;
  int threads = 0;
  std::vector<BatchTime> times;
};

// Whether `seconds` are of some of the evaluations, multiplied.
inline bool IsEstimated(const SpeedReport& report) {
  return report.timed_evaluations < report.evaluations;
}

// A version with freshly drawn weights, a function of nothing but
// `config.model_config`: as large and slow as a trained one. Its digest is
// empty. InvalidArgument for a config that is not valid.
absl::StatusOr<Checkpoint> CheckpointOfRandomWeights(
    const CheckpointConfig& config);

// Runs `checkpoint` by `sampler` (empty: its own) and measures. Sets LibTorch
// to one thread.
//   InvalidArgument  a sampler that it has not
//   Unimplemented, FailedPrecondition  no such device
//   what the sampler fails with
absl::StatusOr<SpeedReport> MeasureSpeed(const Checkpoint& checkpoint,
                                         const std::string& sampler,
                                         const std::vector<int>& batches,
                                         const TimingOptions& timing,
                                         EvaluationProgress* progress);

// What to print.
absl::StatusOr<std::string> RunSpeed(const SpeedOptions& options,
                                     const Environment& environment,
                                     EvaluationProgress* progress);

// Lines of at most 80 columns.
std::string SpeedTable(const SpeedReport& report);
// One object in one line, which ends it. Keys: evaluation ("speed"), model,
// random_weights, sampler, evaluations, timed_evaluations, estimated,
// parameters, device, threads, and times: a list of batch, repeats, seconds,
// seconds_stddev, images_per_second.
std::string SpeedJson(const SpeedReport& report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_SPEED_COMMAND_H_
