// A model version that can serve, with what scheduler and replies need to know
// of it. No LibTorch: the weights are an opaque handle.
#ifndef DDGAN_ENGINE_REQUESTS_SERVABLE_VERSION_H_
#define DDGAN_ENGINE_REQUESTS_SERVABLE_VERSION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "engine/api/generation.h"
#include "engine/requests/step_costs.h"

namespace ddgan {

class Model;  // engine/model/model.h

// Per-channel statistics over all pixels of a version's canary images, which
// engine/versions/canary.h measures and judges.
struct CanaryStatistics {
  std::vector<double> mean;
  std::vector<double> deviation;  // Standard, of the population.
};

// Plain data, immutable once shared. Whoever holds a
// shared_ptr<const ServableVersion> keeps the weights alive, so a request goes
// on with the version that it began with whatever becomes live meanwhile.
struct ServableVersion {
  ModelIdentity identity;
  ImageShape shape;
  int num_timesteps = 0;  // T >= 1
  int evaluations = 0;    // Steps that an image takes: of the network. >= 1
  int64_t training_step = 0;
  std::string dataset;
  absl::Time loaded_at;
  std::shared_ptr<const Model> model;
  int64_t bytes = 0;  // Host memory that `model` holds.
  // Of its images, from its trial; empty before.
  CanaryStatistics canary;
  // Measured while it serves, so not const with the rest. Never null.
  std::shared_ptr<StepCosts> costs = std::make_shared<StepCosts>();
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_SERVABLE_VERSION_H_
