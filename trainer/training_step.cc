#include "trainer/training_step.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "engine/noise_schedule.h"
#include "trainer/losses.h"

namespace ddgan {
namespace {

// The finaliser of splitmix64: neighbouring (seed, step) pairs give
// unrelated generators.
uint64_t MixSeed(uint64_t seed, uint64_t step) {
  uint64_t x = seed + 0x9E3779B97F4A7C15u * (step + 1);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

HalfStepDraws DrawHalf(const ModelConfig& config, int64_t batch,
                       const at::Generator& random) {
  const std::vector<int64_t> image = {batch, config.num_channels,
                                      config.image_size, config.image_size};
  HalfStepDraws draws;
  draws.t = at::randint(0, config.num_timesteps, {batch}, random,
                        at::TensorOptions(at::kLong));
  draws.step_noise = at::randn(image, random, at::kFloat);
  draws.noise = at::randn(image, random, at::kFloat);
  draws.z = at::randn({batch, config.nz}, random, at::kFloat);
  draws.posterior = at::randn(image, random, at::kFloat);
  return draws;
}

}  // namespace

StepDraws DrawStep(const ModelConfig& config, int64_t batch_size, uint64_t seed,
                   int64_t step) {
  const at::Generator random = at::detail::createCPUGenerator(
      MixSeed(seed, static_cast<uint64_t>(step)));
  StepDraws draws;
  draws.discriminator = DrawHalf(config, batch_size, random);
  draws.generator = DrawHalf(config, batch_size, random);
  return draws;
}

TrainingStep::TrainingStep(const ModelConfig& config,
                           const DiscriminatorConfig& discriminator_config,
                           const TrainingOptions& options,
                           const Parameters& generator_parameters,
                           const Parameters& discriminator_parameters)
    : options_(options),
      diffusion_(ComputeNoiseSchedule(config), at::kFloat),
      g_(generator_parameters),
      d_(discriminator_parameters),
      generator_(config, g_.tensors()),
      discriminator_(discriminator_config, d_.tensors()),
      g_adam_(g_.values().numel()),
      d_adam_(d_.values().numel()),
      ema_(options.ema_decay) {}

StepLosses TrainingStep::Run(const at::Tensor& images, const StepDraws& draws,
                             int64_t step, double generator_rate,
                             double discriminator_rate) {
  StepLosses losses;
  DiscriminatorStep(images, draws.discriminator, step % options_.lazy_reg == 0,
                    discriminator_rate, &losses);
  if (step >= options_.discriminator_head_start) {
    GeneratorStep(images, draws.generator, generator_rate, &losses);
  }
  return losses;
}

at::Tensor TrainingStep::Fake(const at::Tensor& x_next,
                              const HalfStepDraws& draws) const {
  return diffusion_.Posterior(generator_.Forward(x_next, draws.t, draws.z),
                              x_next, draws.t, draws.posterior);
}

void TrainingStep::DiscriminatorStep(const at::Tensor& images,
                                     const HalfStepDraws& draws, bool penalise,
                                     double rate, StepLosses* losses) {
  d_.SetRequiresGrad(true);
  d_.ZeroGradient();
  Diffusion::Pair pair =
      diffusion_.DiffusePair(images, draws.t, draws.step_noise, draws.noise);
  // x_t is a leaf of its own: x_next was computed before and is no function of
  // it here, so R1 sees x_t alone.
  if (penalise) pair.x_t.set_requires_grad(true);
  const at::Tensor real =
      discriminator_.Forward(pair.x_t, draws.t, pair.x_next);
  at::Tensor loss = LossAsReal(real);
  losses->discriminator_real = loss.item<double>();
  if (penalise) {
    const at::Tensor penalty = R1Penalty(real, pair.x_t, options_.r1_gamma);
    losses->r1 = penalty.item<double>();
    loss = loss + penalty;
  }
  torch::autograd::backward({loss});

  at::Tensor fake;
  {
    // The generator's gradient is of no use in this half.
    const at::NoGradGuard no_grad;
    fake = Fake(pair.x_next, draws);
  }
  const at::Tensor fake_loss =
      LossAsFake(discriminator_.Forward(fake, draws.t, pair.x_next));
  losses->discriminator_fake = fake_loss.item<double>();
  torch::autograd::backward({fake_loss});
  d_adam_.Step(d_, rate);
}

void TrainingStep::GeneratorStep(const at::Tensor& images,
                                 const HalfStepDraws& draws, double rate,
                                 StepLosses* losses) {
  d_.SetRequiresGrad(false);
  g_.ZeroGradient();
  const Diffusion::Pair pair =
      diffusion_.DiffusePair(images, draws.t, draws.step_noise, draws.noise);
  const at::Tensor fake = Fake(pair.x_next, draws);
  const at::Tensor loss =
      LossAsReal(discriminator_.Forward(fake, draws.t, pair.x_next));
  losses->generator = loss.item<double>();
  torch::autograd::backward({loss});
  g_adam_.Step(g_, rate);
  ema_.Update(g_.values());
}

}  // namespace ddgan
