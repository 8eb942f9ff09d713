// ddgan-evaluate trilemma: quality, coverage and time of several models and
// samplers. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_TRILEMMA_COMMAND_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_TRILEMMA_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/evaluation/commands/quality_command.h"
#include "trainer/evaluation/commands/speed_command.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"

namespace ddgan {

struct ModelAndSampler {
  std::string model;    // Folder of a version.
  std::string sampler;  // Empty: its own.
};

// "MODEL" or "MODEL:SAMPLER": the first colon after the last slash parts them,
// since a rule may have a colon of its own.
ModelAndSampler ParseModelAndSampler(const std::string& text);

struct TrilemmaOptions {
  std::string text;                     // Of --help: print it and end.
  std::vector<ModelAndSampler> models;  // [1, 64]
  MeasureOptions measure;
  QualityMetrics metrics;
  PictureCoding through = PictureCoding::kPng;
  uint64_t seed = 0;
  TimingOptions timing;
  bool json = false;
};

// InvalidArgument with a sentence for the user.
absl::StatusOr<TrilemmaOptions> ParseTrilemma(const CommandInput& input);

// A point of the figure.
struct TrilemmaRow {
  std::string
      name;  // "mnist/12060"; of two of that name "mnist/12060@0a1b2c3d"
  std::string digest;
  QualityReport quality;
  SpeedReport speed;  // Of a batch of 100.
  // Where a classifier of digits says what the pictures are of.
  std::optional<double> kl;
  std::optional<int> modes_covered;
};

struct TrilemmaReport {
  std::vector<TrilemmaRow> rows;  // At least one.
};

// What to print. InvalidArgument, before any work, if a model is given twice
// with one sampler, has not the first one's shape or, unless --dataset is
// given, its data set; what ReadVersionFolder and ParseUpdateRule fail with.
absl::StatusOr<std::string> RunTrilemma(const TrilemmaOptions& options,
                                        const Environment& environment,
                                        EvaluationProgress* progress);

// Lines of at most 120 columns, but for names of classes.
std::string TrilemmaTable(const TrilemmaReport& report);
// One object in one line, which ends it. Keys: evaluation ("trilemma"), data,
// data_choice, data_samples, features (name, digest), fd_name, samples, k,
// strict, through, seed, device, threads, and rows: a list of name, digest,
// sampler, evaluations, seconds_per_100_images, seconds_per_100_images_stddev,
// timing_estimated, fd, kid, is (null without classes), precision, recall,
// density, coverage, kl, modes_covered (null without digits), samples.
std::string TrilemmaJson(const TrilemmaReport& report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_TRILEMMA_COMMAND_H_
