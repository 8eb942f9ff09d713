// How a run goes, as text for a person. No LibTorch.
#ifndef DDGAN_TRAINER_RUN_TRAINING_PROGRESS_H_
#define DDGAN_TRAINER_RUN_TRAINING_PROGRESS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace ddgan {

struct TrainingProgress {
  int64_t step = 0;         // Steps done, of this run and those it resumed.
  int64_t total_steps = 0;  // Where the run ends. >= 1
  int64_t images = 0;       // Seen in all.
  absl::Duration elapsed;   // Since this process began to train.
  // Means since the numbers were taken last.
  double images_per_second = 0;
  std::optional<double> discriminator_loss;  // real + fake; of no denoiser.
  double generator_loss = 0;
  double data_wait_share = 0;  // Of the time, spent waiting for data. [0, 1]
  // Of the last step that computed them.
  std::optional<double> r1;
  std::optional<double> discriminator_gradient_norm;  // L2
  std::optional<double> generator_gradient_norm;
};

// `batch_size` is images per step. Both are ASCII without a line break.

// For example: "step 1200/6000 (20%)  38400 images  41.2 images/s  D 1.210
// G 0.901  R1 0.0123  |grad D| 0.31  |grad G| 0.12  data 2%  15 min so far
// 1 h 2 min left". Without D where there is no discriminator.
std::string FormatTrainingLine(const TrainingProgress& progress,
                               int batch_size);

// For example: "[======>     ] 1234/12060  61.2 images/s  D 1.31 G 0.83 R1 0.01
// data 2%  12 min left". At most `columns` (>= 0) characters: what matters
// least is left out first, and the bar takes the room that remains, up to 40
// characters.
std::string FormatTrainingBar(const TrainingProgress& progress, int batch_size,
                              int columns);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_TRAINING_PROGRESS_H_
