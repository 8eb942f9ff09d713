#include "trainer/step/training_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>
#include <vector>

#include "engine/diffusion/noise_schedule.h"
#include "trainer/networks/losses.h"
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
      diffusion_(ComputeNoiseSchedule(ProcessOf(config.model)),
                 at::TensorOptions(device).dtype(at::kFloat)),
      g_(generator_parameters, device),
      d_(discriminator_parameters, device),
      networks_(CreateNetworks(config, g_.tensors(), d_.tensors())),
      g_adam_(g_.values()),
      d_adam_(d_.values()),
      ema_(options.ema_decay) {}

absl::Status TrainingStep::Join(ProcessGroup* group, Clock* clock) {
  if (group->size() == 1) return absl::OkStatus();
  for (auto [parameters, reducer] :
       {std::pair(&g_, &g_reducer_), std::pair(&d_, &d_reducer_)}) {
    absl::StatusOr<std::unique_ptr<GradientReducer>> created =
        GradientReducer::Create(group, parameters, {}, clock);
    if (!created.ok()) return created.status();
    *reducer = *std::move(created);
  }
  group_ = group;
  parts_ = options_.accumulate * group->size();
  return absl::OkStatus();
}

GradientReducer::Totals TrainingStep::reduction_totals() const {
  GradientReducer::Totals both;
  for (const auto* reducer : {g_reducer_.get(), d_reducer_.get()}) {
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
  if (absl::Status status =
          DiscriminatorStep(samples, draws.discriminator,
                            settings.step % options_.lazy_reg == 0, &sums);
      !status.ok()) {
    return status;
  }
  d_adam_.Step(d_, settings.discriminator_rate);
  if (settings.step >= options_.discriminator_head_start) {
    if (absl::Status status = GeneratorStep(samples, draws.generator, &sums);
        !status.ok()) {
      return status;
    }
    g_adam_.Step(g_, settings.generator_rate);
    ema_.Update(g_.values());
  }
  return GlobalMeans(sums);
}

absl::StatusOr<StepLosses> TrainingStep::GlobalMeans(const LossSums& sums) {
  // One sum over the processes and one read from the device for all of them.
  std::vector<at::Tensor> computed = {sums.discriminator_real,
                                      sums.discriminator_fake};
  if (sums.generator.defined()) computed.push_back(sums.generator);
  if (sums.r1.defined()) computed.push_back(sums.r1);
  const at::Tensor totals = at::stack(computed).to(at::kDouble);
  if (group_ != nullptr) {
    if (absl::Status status = group_->AllReduceSum(totals).Wait(); !status.ok())
      return status;
  }
  const at::Tensor values = (totals / parts_).cpu();
  const double* value = values.const_data_ptr<double>();
  StepLosses losses;
  losses.discriminator_real = *value++;
  losses.discriminator_fake = *value++;
  if (sums.generator.defined()) losses.generator = *value++;
  if (sums.r1.defined()) losses.r1 = *value++;
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
  d_.SetRequiresGrad(true);
  d_.ZeroGradient();
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
    if (d_reducer_ != nullptr && part + 1 == options_.accumulate)
      d_reducer_->Arm();
    BackwardShare(fake_loss);
  }
  return d_reducer_ == nullptr ? absl::OkStatus() : d_reducer_->Wait();
}

absl::Status TrainingStep::GeneratorStep(const at::Tensor& samples,
                                         const HalfStepDraws& draws,
                                         LossSums* sums) {
  d_.SetRequiresGrad(false);
  g_.ZeroGradient();
  const int64_t rows = samples.size(0) / options_.accumulate;
  for (int part = 0; part < options_.accumulate; ++part) {
    const HalfStepDraws drawn = draws.Rows(part * rows, rows);
    const Diffusion::Pair pair =
        diffusion_.DiffusePair(samples.narrow(0, part * rows, rows), drawn.t,
                               drawn.step_noise, drawn.noise);
    const at::Tensor loss =
        LossAsReal(Discriminate(Fake(pair.x_next, drawn), drawn, pair.x_next));
    AddTo(&sums->generator, loss);
    if (g_reducer_ != nullptr && part + 1 == options_.accumulate)
      g_reducer_->Arm();
    BackwardShare(loss);
  }
  return g_reducer_ == nullptr ? absl::OkStatus() : g_reducer_->Wait();
}

}  // namespace ddgan
