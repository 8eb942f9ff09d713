// Which generator a set of weights belongs to.
#ifndef DDGAN_TRAINER_IMPORT_ARCHITECTURE_H_
#define DDGAN_TRAINER_IMPORT_ARCHITECTURE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/checkpoint/weights_check.h"
#include "engine/model/model_config.h"

namespace ddgan {

// The published configurations: "cifar10", "celebahq256", "lsun256". Nothing
// for another name.
std::optional<ModelConfig> PublishedPreset(std::string_view name);

// A valid config whose generator has exactly these tensors, if there is one.
// Shapes do not tell the image size, only at which level attention runs: the
// guess takes that for 16 pixels, as all published models have it, or keeps
// `otherwise.image_size` where attention runs in the middle alone. The
// diffusion process (num_timesteps, beta_*) leaves no trace either and is
// `otherwise`'s.
std::optional<ModelConfig> GuessArchitecture(
    const std::vector<TensorShape>& tensors, const ModelConfig& otherwise);

// The keys of `config` that shapes depend on, as JSON for --config.
std::string ArchitectureJson(const ModelConfig& config);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_ARCHITECTURE_H_
