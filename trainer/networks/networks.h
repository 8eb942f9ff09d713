// The pair of networks that a run trains: those of the paper for images, or
// small fully connected ones for points in the plane.
#ifndef DDGAN_TRAINER_NETWORKS_NETWORKS_H_
#define DDGAN_TRAINER_NETWORKS_NETWORKS_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "engine/model/generator.h"
#include "engine/model/generator_plan.h"
#include "engine/model/model_config.h"
#include "trainer/networks/discriminator.h"

namespace ddgan {

enum class NetworkKind {
  kNcsnpp,  // engine/MODEL.md 3 and 4
  kToyMlp,  // trainer/networks/toy_networks.h
};

struct NetworksConfig {
  NetworkKind kind = NetworkKind::kNcsnpp;
  // Both kinds use nz, num_timesteps and the schedule.
  ModelConfig model;
  DiscriminatorConfig discriminator;  // kNcsnpp
  int toy_width = 512;                // kToyMlp: of the hidden layers.
};

// Names, shapes and initial values. Of a discriminator, none for a denoiser,
// which has none.
std::vector<ParameterPlan> PlanGeneratorParameters(
    const NetworksConfig& config);
std::vector<ParameterPlan> PlanDiscriminatorParameters(
    const NetworksConfig& config);

// Thread-compatible. Throws c10::Error on shapes that do not fit.
class Networks {
 public:
  virtual ~Networks() = default;

  // x [B, C, H, W], t [B] int64 in [0, T), z [B, nz] -> x0' [B, C, H, W].
  virtual at::Tensor Generate(const at::Tensor& x, const at::Tensor& t,
                              const at::Tensor& z) const = 0;

  // x_t and x_{t+1} [B, C, H, W], t [B] -> logits [B, 1]. Differentiable
  // twice in x. Throws c10::Error where there is no discriminator.
  virtual at::Tensor Discriminate(const at::Tensor& x, const at::Tensor& t,
                                  const at::Tensor& x_next) const = 0;
};

// The parameters have the shapes of the plans and are shared: an optimiser may
// update them in place. No parameters of a discriminator: there is none.
std::unique_ptr<Networks> CreateNetworks(
    const NetworksConfig& config, const Parameters& generator_parameters,
    const Parameters& discriminator_parameters);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_NETWORKS_NETWORKS_H_
