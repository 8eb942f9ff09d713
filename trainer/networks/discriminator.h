// The time-conditional discriminator D(x_t, t, x_{t+1}) (engine/MODEL.md 4),
// which serving never needs: is x_t a real predecessor of x_{t+1}?
#ifndef DDGAN_TRAINER_NETWORKS_DISCRIMINATOR_H_
#define DDGAN_TRAINER_NETWORKS_DISCRIMINATOR_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/model/generator.h"
#include "engine/model/generator_plan.h"
#include "engine/model/operators.h"

namespace ddgan {

enum class DiscriminatorSize {
  kSmall,  // 4 blocks, 3 of them halve: 32x32 images
  kLarge,  // 6 blocks, all halve: 256x256 images
};

struct DiscriminatorConfig {
  DiscriminatorSize size = DiscriminatorSize::kSmall;
  int num_channels = 3;  // of an image; the network sees twice as many
  int ngf = 64;          // base width n. [1, 512]
  int t_emb_dim = 256;   // time embedding, even. [4, 4096]
  std::vector<double> fir_kernel = {1, 3, 3, 1};
};

// Names, shapes and initial values, in the order of the reference's
// parameters().
std::vector<ParameterPlan> PlanDiscriminator(const DiscriminatorConfig& config);

// Thread-compatible, as Generator.
class Discriminator {
 public:
  using ModuleHook =
      std::function<void(const std::string& module, const at::Tensor&)>;

  // `parameters` have the shapes of PlanDiscriminator(config) and are shared.
  Discriminator(const DiscriminatorConfig& config, Parameters parameters);

  // x, x_next [B, C, S, S], t [B] int64 -> logits [B, 1]. B is at most 4 or a
  // multiple of 4 (groups of the minibatch standard deviation); otherwise
  // throws c10::Error. Differentiable twice.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& x_next,
                     const ModuleHook& hook = nullptr) const;

  const Parameters& parameters() const { return parameters_; }

 private:
  at::Tensor Block(const std::string& name, size_t first, bool down,
                   const at::Tensor& x, const at::Tensor& time,
                   const ModuleHook& hook) const;

  const DiscriminatorConfig config_;
  const Parameters parameters_;
  const FirKernel fir_;
};

// One extra channel with the standard deviation over groups of samples, as the
// reference appends it: [B, C, H, W] -> [B, C+1, H, W] (engine/MODEL.md 4).
at::Tensor AppendMinibatchStddev(const at::Tensor& features);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_NETWORKS_DISCRIMINATOR_H_
