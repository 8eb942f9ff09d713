// One iteration of adversarial training (spec 5.1): a discriminator step, then
// a generator step on the same images.
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
  double discriminator_real = 0;
  double discriminator_fake = 0;
  // Only of steps that computed them.
  std::optional<double> generator;
  std::optional<double> r1;
};

// What one step is told.
struct StepSettings {
  int64_t step = 0;  // Counts from 0.
  double generator_rate = 0;
  double discriminator_rate = 0;
};

struct TrainingOptions {
  double r1_gamma = 0.05;
  // R1 is computed on steps that are a multiple of this. >= 1
  int lazy_reg = 1;
  double ema_decay = 0.9999;
  // The generator stays as it is on steps below this. >= 0
  int64_t discriminator_head_start = 0;
  // Micro-batches that a step's rows are cut into; their gradients add up. >= 1
  int accumulate = 1;
  // kBfloat16: matrix products and convolutions by LibTorch's autocast, with
  // weights, their gradients, optimisers, losses and the diffusion in float32.
  Precision precision = Precision::kFloat32;
};

// Both networks, their optimisers and the average: all that one step changes.
// Thread-compatible; runs on LibTorch's threads.
class TrainingStep {
 public:
  // Parameters are copied to `device`.
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
  // Throws c10::Error on shapes that do not fit.
  //   Unavailable, DeadlineExceeded  another process is gone or hangs
  absl::StatusOr<StepLosses> Run(const at::Tensor& samples,
                                 const StepDraws& draws,
                                 const StepSettings& settings);

  // Of both gradients, since Join.
  GradientReducer::Totals reduction_totals() const;

  const Networks& networks() const { return *networks_; }
  const Diffusion& diffusion() const { return diffusion_; }
  const FlatParameters& generator_parameters() const { return g_; }
  const FlatParameters& discriminator_parameters() const { return d_; }
  const Adam& generator_optimiser() const { return g_adam_; }
  const Adam& discriminator_optimiser() const { return d_adam_; }
  EmaWeights& ema() { return ema_; }
  const EmaWeights& ema() const { return ema_; }

 private:
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
  absl::StatusOr<StepLosses> GlobalMeans(const LossSums& sums);
  at::Tensor Fake(const at::Tensor& x_next, const HalfStepDraws& draws) const;
  at::Tensor Discriminate(const at::Tensor& x, const HalfStepDraws& draws,
                          const at::Tensor& x_next) const;
  // Backward from this part's share of a mean over the global batch.
  void BackwardShare(const at::Tensor& loss) const;

  const TrainingOptions options_;
  int parts_;  // Micro-batches of all processes.
  const Diffusion diffusion_;
  FlatParameters g_;
  FlatParameters d_;
  const std::unique_ptr<const Networks> networks_;
  Adam g_adam_;
  Adam d_adam_;
  EmaWeights ema_;
  // Null in a process that trains alone.
  ProcessGroup* group_ = nullptr;
  std::unique_ptr<GradientReducer> g_reducer_;
  std::unique_ptr<GradientReducer> d_reducer_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_TRAINING_STEP_H_
