// The smallest checkpoint that every check accepts: 8x8 gray images, two steps,
// weights that are all one number. For tests of what is around the weights.
#ifndef DDGAN_TESTS_FAKES_TINY_CHECKPOINT_H_
#define DDGAN_TESTS_FAKES_TINY_CHECKPOINT_H_

#include <cstring>
#include <deque>
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

// The bytes of a model.safetensors for `config`.
inline std::string TinyWeights(const ModelConfig& config, float value = 0.01f) {
  std::deque<std::string> data;  // Keeps its elements in place.
  std::vector<TensorView> tensors;
  for (const ParameterPlan& parameter : PlanGenerator(config).parameters) {
    size_t count = 1;
    for (int64_t size : parameter.shape) count *= static_cast<size_t>(size);
    std::string& bytes = data.emplace_back(count * sizeof(float), '\0');
    for (size_t i = 0; i < count; ++i)
      std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof(float));
    tensors.push_back({.name = parameter.name,
                       .dtype = DType::kFloat32,
                       .shape = parameter.shape,
                       .data = bytes});
  }
  return SerializeSafetensors(tensors).value();
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_TINY_CHECKPOINT_H_
