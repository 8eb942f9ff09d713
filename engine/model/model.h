// A checkpoint in memory, ready to run: immutable once loaded, shared by
// everything that uses it and freed with its last user.
#ifndef DDGAN_ENGINE_MODEL_MODEL_H_
#define DDGAN_ENGINE_MODEL_MODEL_H_

#include <cstdint>
#include <utility>

#include "engine/generation.h"
#include "engine/model/model_config.h"
#include "engine/model/prepared_generator.h"
#include "engine/noise_schedule.h"

namespace ddgan {

// Thread-safe.
class Model {
 public:
  Model(ModelIdentity identity, const Generator& generator)
      : identity_(std::move(identity)),
        config_(generator.config()),
        schedule_(ComputeNoiseSchedule(config_)),
        generator_(generator),
        bytes_(generator_.bytes()) {}

  const ModelIdentity& identity() const { return identity_; }
  const ModelConfig& config() const { return config_; }
  const NoiseSchedule& schedule() const { return schedule_; }
  const PreparedGenerator& generator() const { return generator_; }
  // Memory that the weights hold.
  int64_t bytes() const { return bytes_; }
  ImageShape shape() const {
    return {config_.num_channels, config_.image_size, config_.image_size};
  }

 private:
  const ModelIdentity identity_;
  const ModelConfig config_;
  const NoiseSchedule schedule_;
  const PreparedGenerator generator_;
  const int64_t bytes_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_MODEL_H_
