// One iteration of training. Adversarial (engine/MODEL.md 5.1): a discriminator
// step, then a generator step on the same images. Denoising: a generator step
// on the loss of denoising_loss.h, with z = 0 and without a discriminator.
// Which of the two the networks' configuration says (ModelConfig::objective).
#ifndef DDGAN_TRAINER_STEP_TRAINING_STEP_H_
#define DDGAN_TRAINER_STEP_TRAINING_STEP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/api/precision.h"
#include "engine/base/clock.h"
#include "engine/diffusion/diffusion.h"
#include "trainer/distributed/gradient_reducer.h"
#include "trainer/distributed/process_group.h"
#include "trainer/networks/flat_parameters.h"
#include "trainer/networks/networks.h"
#include "trainer/step/adam.h"
#include "trainer/step/ema_weights.h"
#include "trainer/step/training_draws.h"

namespace ddgan {

// Means over the global batch: the same in all processes.
struct StepLosses {
  // Only of steps that computed them.
  std::optional<double> discriminator_real;
  std::optional<double> discriminator_fake;
  std::optional<double> generator;  // Of its objective.
  std::optional<double> r1;
};

// What one step is told.
struct StepSettings {
  int64_t step = 0;  // Counts from 0.
  double generator_rate = 0;
  double discriminator_rate = 0;  // Of no use to a denoiser.
};

struct TrainingOptions {
  double r1_gamma = 0.05;
  // R1 is computed on steps that are a multiple of this. >= 1
  int lazy_reg = 1;
  double ema_decay = 0.9999;
  // The generator stays as it is on steps below this. >= 0; 0 for a denoiser.
  int64_t discriminator_head_start = 0;
  // Micro-batches that a step's rows are cut into; their gradients add up. >= 1
  int accumulate = 1;
  // kBfloat16: matrix products and convolutions by LibTorch's autocast, with
  // weights, their gradients, optimisers, losses and the diffusion in float32.
  Precision precision = Precision::kFloat32;
};

// The networks, their optimisers and the average: all that one step changes.
// Thread-compatible; runs on LibTorch's threads.
class TrainingStep {
 public:
  // Parameters are copied to `device`; a denoiser has none of a discriminator.
  TrainingStep(const NetworksConfig& config, const TrainingOptions& options,
               const Parameters& generator_parameters,
               const Parameters& discriminator_parameters,
               const at::Device& device);

  // From now on a step is shared by the processes of `group`. At most once,
  // before the first Run. Both outlive the step. Errors as
  // GradientReducer::Create.
  absl::Status Join(ProcessGroup* group, Clock* clock);

  // `samples` [B, C, H, W] float32 on the device, images in [-1, 1]: this
  // process's rows, a multiple of options.accumulate. All processes call this
  // with the same settings; their gradients are added up while backward runs.
  // `draws` has what the objective takes (DrawnTensors).
  // Throws c10::Error on shapes that do not fit.
  //   Unavailable, DeadlineExceeded  another process is gone or hangs
  absl::StatusOr<StepLosses> Run(const at::Tensor& samples,
                                 const StepDraws& draws,
                                 const StepSettings& settings);

  // Of both gradients, since Join.
  GradientReducer::Totals reduction_totals() const;

  const Networks& networks() const { return *networks_; }
  const Diffusion& diffusion() const { return diffusion_; }
  const FlatParameters& generator_parameters() const {
    return generator_.parameters;
  }
  // Whether there is one; else the next three may not be called.
  bool has_discriminator() const { return discriminator_.has_value(); }
  const FlatParameters& discriminator_parameters() const {
    return discriminator_->parameters;
  }
  const Adam& generator_optimiser() const { return generator_.optimiser; }
  const Adam& discriminator_optimiser() const {
    return discriminator_->optimiser;
  }
  EmaWeights& ema() { return ema_; }
  const EmaWeights& ema() const { return ema_; }

 private:
  struct Network {
    Network(const Parameters& initial, const at::Device& device)
        : parameters(initial, device), optimiser(parameters.values()) {}

    FlatParameters parameters;
    Adam optimiser;
    // Null in a process that trains alone.
    std::unique_ptr<GradientReducer> reducer;
  };

  // Sums of a step's losses, scalars on the device; undefined: not computed.
  struct LossSums {
    at::Tensor discriminator_real;
    at::Tensor discriminator_fake;
    at::Tensor generator;
    at::Tensor r1;
  };

  // Both leave the gradient of the global batch.
  absl::Status DiscriminatorStep(const at::Tensor& samples,
                                 const HalfStepDraws& draws, bool penalise,
                                 LossSums* sums);
  absl::Status GeneratorStep(const at::Tensor& samples,
                             const HalfStepDraws& draws, LossSums* sums);
  // Of micro-batch `samples`, for backward.
  at::Tensor AdversarialLoss(const at::Tensor& samples,
                             const HalfStepDraws& drawn) const;
  at::Tensor DenoisersLoss(const at::Tensor& samples,
                           const HalfStepDraws& drawn) const;
  absl::StatusOr<StepLosses> GlobalMeans(const LossSums& sums);
  at::Tensor Fake(const at::Tensor& x_next, const HalfStepDraws& draws) const;
  at::Tensor Discriminate(const at::Tensor& x, const HalfStepDraws& draws,
                          const at::Tensor& x_next) const;
  // Backward from this part's share of a mean over the global batch.
  void BackwardShare(const at::Tensor& loss) const;

  const TrainingOptions options_;
  int parts_;  // Micro-batches of all processes.
  const int nz_;
  const Diffusion diffusion_;
  Network generator_;
  std::optional<Network> discriminator_;
  const std::unique_ptr<const Networks> networks_;
  at::Tensor denoising_weights_;  // [T]; undefined with a discriminator.
  EmaWeights ema_;
  // Null in a process that trains alone.
  ProcessGroup* group_ = nullptr;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_TRAINING_STEP_H_
