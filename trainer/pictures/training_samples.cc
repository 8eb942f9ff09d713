#include "trainer/pictures/training_samples.h"

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "engine/base/durable_file.h"
#include "trainer/pictures/sample_pictures.h"
#include "trainer/step/denoising_chain.h"

namespace ddgan {
namespace {

constexpr uint64_t kSampleSeed = 7;
// Points of the plane, of which one alone says nothing.
constexpr int kSamplePoints = 2500;
// Pixels that are drawn at once, which bounds the memory of large images.
constexpr int64_t kSamplePixels = 64 * 32 * 32;

DenoisingChain Sample(const SampledNetworks& sampled, int count, int kept) {
  const TrainingStep& training = sampled.training;
  const FlatParameters& generator = training.generator_parameters();
  const std::unique_ptr<Networks> networks =
      CreateNetworks(sampled.config, generator.Split(training.ema().values()),
                     training.has_discriminator()
                         ? training.discriminator_parameters().tensors()
                         : Parameters());
  const ImageShape& shape = sampled.shape;
  const int64_t at_once = std::max<int64_t>(
      1, kSamplePixels / (int64_t{shape.height} * shape.width));
  const ModelConfig& model = sampled.config.model;
  const SamplingPlan plan = PlanOf(model);
  return SampleChain({*networks,
                      plan,
                      {shape.channels, shape.height, shape.width, model.nz,
                       model.num_timesteps},
                      IsDenoiser(model)},
                     kSampleSeed, /*first_index=*/0, count, kept,
                     static_cast<int>(at_once), generator.values().device());
}

}  // namespace

absl::StatusOr<std::string> WriteTrainingSamples(
    const SampledNetworks& networks, int count,
    const std::filesystem::path& folder, int64_t steps_done) {
  const bool points = networks.config.kind == NetworkKind::kToyMlp;
  if (count == 0) return "";
  const absl::StatusOr<SamplePictures> pictures =
      points
          ? DrawPoints(Sample(networks, kSamplePoints, kSamplePoints),
                       steps_done)
          : DrawImages(Sample(networks, count, std::min(count, kStripImages)),
                       networks.shape, steps_done);
  if (!pictures.ok()) return pictures.status();
  for (const NamedPicture& picture : pictures->files) {
    if (absl::Status status =
            WriteFileDurably(folder / picture.name, picture.png);
        !status.ok()) {
      return status;
    }
  }
  return pictures->summary;
}

}  // namespace ddgan
