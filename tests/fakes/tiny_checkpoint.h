// The smallest checkpoint that every check accepts: 8x8 gray images, two steps,
// weights that are all one number. For tests of what is around the weights.
#ifndef DDGAN_TESTS_FAKES_TINY_CHECKPOINT_H_
#define DDGAN_TESTS_FAKES_TINY_CHECKPOINT_H_

#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint_format.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/model/generator_plan.h"

namespace ddgan {

inline ModelConfig TinyModelConfig() {
  ModelConfig config;
  config.image_size = 8;
  config.num_channels = 1;
  config.num_channels_dae = 4;
  config.ch_mult = {1, 1};
  config.num_res_blocks = 1;
  config.attn_resolutions = {};
  config.nz = 4;
  config.z_emb_dim = 4;
  config.n_mlp = 1;
  config.num_timesteps = 2;
  return config;
}

inline CheckpointConfig TinyCheckpointConfig(
    const std::string& model = "tiny") {
  CheckpointConfig config;
  config.model_config = TinyModelConfig();
  config.model = model;
  config.training_step = 17;
  config.dataset = "none";
  config.created = "2026-11-24T04:00:00Z";
  config.trainer_version = "test";
  return config;
}

// The bytes of a model.safetensors for `config`, each value from `next`.
inline std::string MakeTinyWeights(const ModelConfig& config,
                                   const std::function<float()>& next) {
  std::deque<std::string> data;  // Keeps its elements in place.
  std::vector<TensorView> tensors;
  for (const ParameterPlan& parameter : PlanGenerator(config).parameters) {
    size_t count = 1;
    for (int64_t size : parameter.shape) count *= static_cast<size_t>(size);
    std::string& bytes = data.emplace_back(count * sizeof(float), '\0');
    for (size_t i = 0; i < count; ++i) {
      const float value = next();
      std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof(float));
    }
    tensors.push_back({.name = parameter.name,
                       .dtype = DType::kFloat32,
                       .shape = parameter.shape,
                       .data = bytes});
  }
  return SerializeSafetensors(tensors).value();
}

// All values the same. Its images are, too, so no engine serves it.
inline std::string TinyWeights(const ModelConfig& config, float value = 0.01f) {
  return MakeTinyWeights(config, [value] { return value; });
}

// Weights whose images differ by seed and index.
inline std::string TinyRandomWeights(const ModelConfig& config) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> values(-0.3f, 0.3f);
  return MakeTinyWeights(config, [&] { return values(random); });
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_TINY_CHECKPOINT_H_
