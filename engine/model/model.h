// A checkpoint in memory, ready to run: immutable once loaded, shared by
// everything that uses it and freed with its last user.
#ifndef DDGAN_ENGINE_MODEL_MODEL_H_
#define DDGAN_ENGINE_MODEL_MODEL_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "engine/api/generation.h"
#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/update_rule.h"
#include "engine/model/cpu_generator.h"
#include "engine/model/generator.h"
#include "engine/model/model_config.h"
#include "engine/model/model_use.h"

namespace ddgan {

// Thread-safe.
class Model {
 public:
  // `generator`'s config is valid, and its parameters are float32 on the CPU.
  // They are shared with it where `use` asks for them, and nobody may change
  // them then.
  Model(ModelIdentity identity, const Generator& generator,
        ModelUse use = ModelUse::kCpuLanes)
      : identity_(std::move(identity)),
        config_(generator.config()),
        schedule_(ComputeNoiseSchedule(ProcessOf(config_))),
        plan_(PlanOf(config_)) {
    if (use != ModelUse::kGpuLanes) {
      generator_.emplace(generator);
      bytes_ += generator_->bytes();
    }
    if (use != ModelUse::kCpuLanes) {
      parameters_ = generator.parameters();
      for (const at::Tensor& tensor : parameters_) {
        bytes_ += static_cast<int64_t>(tensor.nbytes());
      }
    }
  }

  const ModelIdentity& identity() const { return identity_; }
  const ModelConfig& config() const { return config_; }
  const NoiseSchedule& schedule() const { return schedule_; }
  // How an image is made; never empty.
  const SamplingPlan& plan() const { return plan_; }
  // Whether it was loaded for CPU lanes, and what they run; generator() throws
  // std::bad_optional_access if it was not.
  bool has_generator() const { return generator_.has_value(); }
  const CpuGenerator& generator() const { return generator_.value(); }
  // In the order of the generator's plan; empty in a model that is for CPU
  // lanes alone.
  const Parameters& parameters() const { return parameters_; }
  // Host memory that the weights hold.
  int64_t bytes() const { return bytes_; }
  ImageShape shape() const {
    return {config_.num_channels, config_.image_size, config_.image_size};
  }

 private:
  // Constant after construction.
  const ModelIdentity identity_;
  const ModelConfig config_;
  const NoiseSchedule schedule_;
  const SamplingPlan plan_;
  std::optional<CpuGenerator> generator_;
  Parameters parameters_;
  int64_t bytes_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_MODEL_H_
