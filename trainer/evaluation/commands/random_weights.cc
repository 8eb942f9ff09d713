#include <cstring>
#include <deque>
#include <random>
#include <utility>

#include "engine/checkpoint/safetensors.h"
#include "engine/model/generator_plan.h"
#include "trainer/evaluation/commands/speed_command.h"

namespace ddgan {
namespace {

// A value of each element as a fresh network has it.
std::string DrawParameter(const ParameterPlan& parameter,
                          std::mt19937* random) {
  size_t count = 1;
  for (const int64_t size : parameter.shape) count *= static_cast<size_t>(size);
  std::string bytes(count * sizeof(float), '\0');
  const auto bound = static_cast<float>(parameter.init.bound);
  std::uniform_real_distribution<float> uniform(-bound, bound);
  for (size_t i = 0; i < count; ++i) {
    const float value =
        bound > 0
            ? uniform(*random)
            : static_cast<float>(i < count / 2 ? parameter.init.first_half
                                               : parameter.init.second_half);
    std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof(float));
  }
  return bytes;
}

}  // namespace

absl::StatusOr<Checkpoint> CheckpointOfRandomWeights(
    const CheckpointConfig& config) {
  if (absl::Status s = ValidateModelConfig(config.model_config); !s.ok()) {
    return s;
  }
  std::mt19937 random(1);
  std::deque<std::string> data;  // Keeps its elements in place.
  std::vector<TensorView> tensors;
  for (const ParameterPlan& parameter :
       PlanGenerator(config.model_config).parameters) {
    data.push_back(DrawParameter(parameter, &random));
    tensors.push_back({.name = parameter.name,
                       .dtype = DType::kFloat32,
                       .shape = parameter.shape,
                       .data = data.back()});
  }
  absl::StatusOr<std::string> weights = SerializeSafetensors(tensors);
  if (!weights.ok()) return weights.status();
  Checkpoint checkpoint;
  checkpoint.identity.model = config.model;
  checkpoint.config = config;
  checkpoint.weights = *std::move(weights);
  return checkpoint;
}

}  // namespace ddgan
