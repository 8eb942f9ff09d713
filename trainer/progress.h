// The line that tells a person how a run goes. No LibTorch.
#ifndef DDGAN_TRAINER_PROGRESS_H_
#define DDGAN_TRAINER_PROGRESS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace ddgan {

struct Progress {
  int64_t step = 0;         // Steps done, of this run and those it resumed.
  int64_t total_steps = 0;  // Where the run ends.
  int64_t images = 0;       // Seen in all.
  double images_per_second = 0;   // Since the last line.
  double discriminator_loss = 0;  // Means since the last line; real + fake.
  double generator_loss = 0;
  std::optional<double> r1;  // Of the last step that computed it.
};

// For example: "step 1200/6000 (20%)  38400 images  41.2 images/s  D 1.210
// G 0.901  R1 0.0123  1 h 2 min left"
std::string ProgressLine(const Progress& progress, int batch_size);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_PROGRESS_H_
