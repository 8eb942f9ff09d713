// The pictures by which a person follows a run, always of the same noise so
// that they can be compared.
#ifndef DDGAN_TRAINER_PICTURES_TRAINING_SAMPLES_H_
#define DDGAN_TRAINER_PICTURES_TRAINING_SAMPLES_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "trainer/networks/networks.h"
#include "trainer/step/training_step.h"

namespace ddgan {

struct SampledNetworks {
  const NetworksConfig& config;  // Of `training`.
  const TrainingStep& training;
  ImageShape shape;  // Of the data set's images, or 2x1x1 of points.
};

// Draws `count` images with the averaged weights and the version's sampler, as
// they are after
// `steps_done` steps, and writes the files of DrawImages into `folder`; of
// points, a number of its own and those of DrawPoints. Returns the summary,
// which may be empty. With no image to draw it does nothing. The average must
// be defined. Beside the samples memory is bounded, whatever the size of an
// image. The file system's errors; throws what LibTorch throws.
absl::StatusOr<std::string> WriteTrainingSamples(
    const SampledNetworks& networks, int count,
    const std::filesystem::path& folder, int64_t steps_done);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_PICTURES_TRAINING_SAMPLES_H_
