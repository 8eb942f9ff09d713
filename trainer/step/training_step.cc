#include "trainer/step/training_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>
#include <vector>

#include "engine/diffusion/noise_schedule.h"
#include "trainer/networks/losses.h"
#include "trainer/step/denoising_loss.h"
#include "trainer/step/precision_scope.h"

namespace ddgan {
namespace {

void AddTo(at::Tensor* sum, const at::Tensor& value) {
  *sum = sum->defined() ? *sum + value.detach() : value.detach();
}

}  // namespace

TrainingStep::TrainingStep(const NetworksConfig& config,
                           const TrainingOptions& options,
                           const Parameters& generator_parameters,
                           const Parameters& discriminator_parameters,
                           const at::Device& device)
    : options_(options),
      parts_(options.accumulate),
      nz_(config.model.nz),
      diffusion_(ComputeNoiseSchedule(ProcessOf(config.model)),
                 at::TensorOptions(device).dtype(at::kFloat)),
      generator_(generator_parameters, device),
      discriminator_(discriminator_parameters.empty()
                         ? std::nullopt
                         : std::optional<Network>(std::in_place,
                                                  discriminator_parameters,
                                                  device)),
      networks_(CreateNetworks(config, generator_.parameters.tensors(),
                               discriminator_
                                   ? discriminator_->parameters.tensors()
                                   : Parameters())),
      ema_(options.ema_decay) {
  const bool denoiser = IsDenoiser(config.model);
  TORCH_CHECK(denoiser != discriminator_.has_value(),
              "a discriminator goes with the adversarial objective");
  if (denoiser) {
    const NoiseSchedule schedule =
        ComputeNoiseSchedule(ProcessOf(config.model));
    denoising_weights_ =
        at::tensor(DenoisingWeights(schedule), at::dtype(at::kFloat))
            .to(device);
  }
}

absl::Status TrainingStep::Join(ProcessGroup* group, Clock* clock) {
  if (group->size() == 1) return absl::OkStatus();
  for (Network* network :
       {&generator_, discriminator_ ? &*discriminator_ : nullptr}) {
    if (network == nullptr) continue;
    absl::StatusOr<std::unique_ptr<GradientReducer>> created =
        GradientReducer::Create(group, &network->parameters, {}, clock);
    if (!created.ok()) return created.status();
    network->reducer = *std::move(created);
  }
  group_ = group;
  parts_ = options_.accumulate * group->size();
  return absl::OkStatus();
}

GradientReducer::Totals TrainingStep::reduction_totals() const {
  GradientReducer::Totals both;
  for (const GradientReducer* reducer :
       {generator_.reducer.get(),
        discriminator_ ? discriminator_->reducer.get() : nullptr}) {
    if (reducer == nullptr) continue;
    const GradientReducer::Totals totals = reducer->totals();
    both.steps += totals.steps;
    both.sums += totals.sums;
    both.early_sums += totals.early_sums;
    both.bytes += totals.bytes;
    both.waited += totals.waited;
  }
  return both;
}

absl::StatusOr<StepLosses> TrainingStep::Run(const at::Tensor& samples,
                                             const StepDraws& draws,
                                             const StepSettings& settings) {
  LossSums sums;
  if (discriminator_) {
    if (absl::Status status =
            DiscriminatorStep(samples, draws.discriminator,
                              settings.step % options_.lazy_reg == 0, &sums);
        !status.ok()) {
      return status;
    }
    discriminator_->optimiser.Step(discriminator_->parameters,
                                   settings.discriminator_rate);
  }
  if (settings.step >= options_.discriminator_head_start) {
    if (absl::Status status = GeneratorStep(samples, draws.generator, &sums);
        !status.ok()) {
      return status;
    }
    generator_.optimiser.Step(generator_.parameters, settings.generator_rate);
    ema_.Update(generator_.parameters.values());
  }
  return GlobalMeans(sums);
}

absl::StatusOr<StepLosses> TrainingStep::GlobalMeans(const LossSums& sums) {
  // One sum over the processes and one read from the device for all of them.
  StepLosses losses;
  const std::pair<const at::Tensor*, std::optional<double>*> pairs[] = {
      {&sums.discriminator_real, &losses.discriminator_real},
      {&sums.discriminator_fake, &losses.discriminator_fake},
      {&sums.generator, &losses.generator},
      {&sums.r1, &losses.r1}};
  std::vector<at::Tensor> computed;
  for (const auto& [sum, loss] : pairs)
    if (sum->defined()) computed.push_back(*sum);
  const at::Tensor totals = at::stack(computed).to(at::kDouble);
  if (group_ != nullptr) {
    if (absl::Status status = group_->AllReduceSum(totals).Wait(); !status.ok())
      return status;
  }
  const at::Tensor values = (totals / parts_).cpu();
  const double* value = values.const_data_ptr<double>();
  for (const auto& [sum, loss] : pairs)
    if (sum->defined()) *loss = *value++;
  return losses;
}

at::Tensor TrainingStep::Fake(const at::Tensor& x_next,
                              const HalfStepDraws& draws) const {
  at::Tensor x0;
  {
    const PrecisionScope scope(options_.precision, x_next.device().type());
    x0 = networks_->Generate(x_next, draws.t, draws.z);
  }
  return diffusion_.Posterior(x0.to(at::kFloat), x_next, draws.t,
                              draws.posterior);
}

at::Tensor TrainingStep::Discriminate(const at::Tensor& x,
                                      const HalfStepDraws& draws,
                                      const at::Tensor& x_next) const {
  const PrecisionScope scope(options_.precision, x.device().type());
  return networks_->Discriminate(x, draws.t, x_next).to(at::kFloat);
}

void TrainingStep::BackwardShare(const at::Tensor& loss) const {
  torch::autograd::backward({parts_ == 1 ? loss : loss / parts_});
}

absl::Status TrainingStep::DiscriminatorStep(const at::Tensor& samples,
                                             const HalfStepDraws& draws,
                                             bool penalise, LossSums* sums) {
  discriminator_->parameters.SetRequiresGrad(true);
  discriminator_->parameters.ZeroGradient();
  GradientReducer* const reducer = discriminator_->reducer.get();
  const int64_t rows = samples.size(0) / options_.accumulate;
  for (int part = 0; part < options_.accumulate; ++part) {
    const HalfStepDraws drawn = draws.Rows(part * rows, rows);
    Diffusion::Pair pair =
        diffusion_.DiffusePair(samples.narrow(0, part * rows, rows), drawn.t,
                               drawn.step_noise, drawn.noise);
    // x_t is a leaf of its own: x_next was computed before and is no function
    // of it here, so R1 sees x_t alone.
    if (penalise) pair.x_t.set_requires_grad(true);
    const at::Tensor real = Discriminate(pair.x_t, drawn, pair.x_next);
    at::Tensor loss = LossAsReal(real);
    AddTo(&sums->discriminator_real, loss);
    if (penalise) {
      const at::Tensor penalty = R1Penalty(real, pair.x_t, options_.r1_gamma);
      AddTo(&sums->r1, penalty);
      loss = loss + penalty;
    }
    BackwardShare(loss);

    at::Tensor fake;
    {
      // The generator's gradient is of no use in this half.
      const at::NoGradGuard no_grad;
      fake = Fake(pair.x_next, drawn);
    }
    const at::Tensor fake_loss =
        LossAsFake(Discriminate(fake, drawn, pair.x_next));
    AddTo(&sums->discriminator_fake, fake_loss);
    if (reducer != nullptr && part + 1 == options_.accumulate) reducer->Arm();
    BackwardShare(fake_loss);
  }
  return reducer == nullptr ? absl::OkStatus() : reducer->Wait();
}

absl::Status TrainingStep::GeneratorStep(const at::Tensor& samples,
                                         const HalfStepDraws& draws,
                                         LossSums* sums) {
  if (discriminator_) discriminator_->parameters.SetRequiresGrad(false);
  generator_.parameters.ZeroGradient();
  GradientReducer* const reducer = generator_.reducer.get();
  const int64_t rows = samples.size(0) / options_.accumulate;
  for (int part = 0; part < options_.accumulate; ++part) {
    const HalfStepDraws drawn = draws.Rows(part * rows, rows);
    const at::Tensor images = samples.narrow(0, part * rows, rows);
    const at::Tensor loss = discriminator_ ? AdversarialLoss(images, drawn)
                                           : DenoisersLoss(images, drawn);
    AddTo(&sums->generator, loss);
    if (reducer != nullptr && part + 1 == options_.accumulate) reducer->Arm();
    BackwardShare(loss);
  }
  return reducer == nullptr ? absl::OkStatus() : reducer->Wait();
}

at::Tensor TrainingStep::AdversarialLoss(const at::Tensor& samples,
                                         const HalfStepDraws& drawn) const {
  const Diffusion::Pair pair =
      diffusion_.DiffusePair(samples, drawn.t, drawn.step_noise, drawn.noise);
  return LossAsReal(Discriminate(Fake(pair.x_next, drawn), drawn, pair.x_next));
}

at::Tensor TrainingStep::DenoisersLoss(const at::Tensor& samples,
                                       const HalfStepDraws& drawn) const {
  const at::Tensor x_next =
      diffusion_.Diffuse(samples, drawn.t + 1, drawn.noise);
  at::Tensor x0;
  {
    const PrecisionScope scope(options_.precision, x_next.device().type());
    x0 = networks_->Generate(
        x_next, drawn.t, at::zeros({samples.size(0), nz_}, x_next.options()));
  }
  return DenoisingLoss(samples, x0.to(at::kFloat), drawn.t, denoising_weights_);
}

}  // namespace ddgan
