// One iteration of adversarial training (spec 5.1): a discriminator step, then
// a generator step on the same images.
#ifndef DDGAN_TRAINER_TRAINING_STEP_H_
#define DDGAN_TRAINER_TRAINING_STEP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "engine/diffusion.h"
#include "engine/model/generator.h"
#include "engine/model/model_config.h"
#include "trainer/adam.h"
#include "trainer/discriminator.h"
#include "trainer/ema_weights.h"

namespace ddgan {

// The random numbers of one half of a step.
struct HalfStepDraws {
  at::Tensor t;           // [B] int64, uniform in {0..T-1}
  at::Tensor step_noise;  // [B, C, S, S], x_t -> x_{t+1}
  at::Tensor noise;       // [B, C, S, S], x0 -> x_t
  at::Tensor z;           // [B, nz]
  at::Tensor posterior;   // [B, C, S, S]
};

struct StepDraws {
  HalfStepDraws discriminator;
  HalfStepDraws generator;
};

// Draws of step `step` of a run: a function of (seed, step) alone, so that a
// resumed run draws what an unbroken one would.
StepDraws DrawStep(const ModelConfig& config, int64_t batch_size, uint64_t seed,
                   int64_t step);

struct StepLosses {
  double discriminator_real = 0;
  double discriminator_fake = 0;
  // Only of steps that computed them.
  std::optional<double> generator;
  std::optional<double> r1;
};

struct TrainingOptions {
  double r1_gamma = 0.05;
  // R1 is computed on steps that are a multiple of this. >= 1
  int lazy_reg = 1;
  double ema_decay = 0.9999;
  // The generator stays as it is on steps below this. >= 0
  int64_t discriminator_head_start = 0;
};

// Both networks, their optimisers and the average: all that one step changes.
// Thread-compatible; runs on LibTorch's threads.
class TrainingStep {
 public:
  TrainingStep(const ModelConfig& config,
               const DiscriminatorConfig& discriminator_config,
               const TrainingOptions& options,
               const Parameters& generator_parameters,
               const Parameters& discriminator_parameters);

  // `images` [B, C, S, S] float32 in [-1, 1]; `step` counts from 0. Throws
  // c10::Error on shapes that do not fit.
  StepLosses Run(const at::Tensor& images, const StepDraws& draws, int64_t step,
                 double generator_rate, double discriminator_rate);

  const Generator& generator() const { return generator_; }
  const FlatParameters& generator_parameters() const { return g_; }
  const FlatParameters& discriminator_parameters() const { return d_; }
  const Adam& generator_optimiser() const { return g_adam_; }
  const Adam& discriminator_optimiser() const { return d_adam_; }
  EmaWeights& ema() { return ema_; }
  const EmaWeights& ema() const { return ema_; }

 private:
  void DiscriminatorStep(const at::Tensor& images, const HalfStepDraws& draws,
                         bool penalise, double rate, StepLosses* losses);
  void GeneratorStep(const at::Tensor& images, const HalfStepDraws& draws,
                     double rate, StepLosses* losses);
  // A generated x_t for x_{t+1}.
  at::Tensor Fake(const at::Tensor& x_next, const HalfStepDraws& draws) const;

  const TrainingOptions options_;
  const Diffusion diffusion_;
  FlatParameters g_;
  FlatParameters d_;
  const Generator generator_;
  const Discriminator discriminator_;
  Adam g_adam_;
  Adam d_adam_;
  EmaWeights ema_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_TRAINING_STEP_H_
