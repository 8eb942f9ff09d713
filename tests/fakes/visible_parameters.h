// Weights and a configuration for tests that look at what a generator draws.
#ifndef DDGAN_TESTS_FAKES_VISIBLE_PARAMETERS_H_
#define DDGAN_TESTS_FAKES_VISIBLE_PARAMETERS_H_

#include <cstdint>
#include <vector>

#include "engine/model/generator.h"
#include "engine/model/generator_plan.h"
#include "engine/model/model_config.h"

namespace ddgan {

// Freshly drawn, but without the layers that start at nearly zero, which would
// hide everything behind them.
inline Parameters VisibleParameters(const ModelConfig& config, uint64_t seed) {
  std::vector<ParameterPlan> plan = PlanGenerator(config).parameters;
  for (ParameterPlan& parameter : plan) {
    if (parameter.init.bound > 0 && parameter.init.bound < 1e-3) {
      parameter.init.bound = 0.2;
    }
  }
  return InitialParameters(plan, seed);
}

// A small RGB generator with every kind of block, and an odd latent.
inline ModelConfig SmallRgbConfig(int image_size = 16) {
  ModelConfig config;
  config.image_size = image_size;
  config.num_channels = 3;
  config.num_channels_dae = 16;
  config.ch_mult = {1, 2};
  config.num_res_blocks = 1;
  config.attn_resolutions = {8};
  config.nz = 13;
  config.z_emb_dim = 16;
  config.n_mlp = 1;
  return config;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_VISIBLE_PARAMETERS_H_
