#include "trainer/step/step_options.h"

namespace ddgan {

NetworksConfig NetworksOf(const TrainerOptions& options) {
  NetworksConfig config;
  config.kind = options.networks == "toy_mlp" ? NetworkKind::kToyMlp
                                              : NetworkKind::kNcsnpp;
  config.model = options.model_config;
  config.discriminator.size = options.model_config.image_size >= 64
                                  ? DiscriminatorSize::kLarge
                                  : DiscriminatorSize::kSmall;
  config.discriminator.num_channels = options.model_config.num_channels;
  config.discriminator.ngf = options.ngf;
  config.discriminator.t_emb_dim = options.t_emb_dim;
  config.discriminator.fir_kernel = options.model_config.fir_kernel;
  config.toy_width = options.toy_width;
  return config;
}

TrainingOptions StepOptionsOf(const TrainerOptions& options) {
  TrainingOptions step;
  step.r1_gamma = options.r1_gamma;
  step.lazy_reg = options.lazy_reg;
  step.ema_decay = options.ema_decay;
  step.discriminator_head_start = options.discriminator_head_start;
  step.accumulate = options.accumulate;
  if (options.precision == "bfloat16") step.precision = Precision::kBfloat16;
  if (options.precision == "tf32") step.precision = Precision::kTf32;
  return step;
}

}  // namespace ddgan
