// How a state moves from noise towards an image: at which of the T steps the
// network is asked, and what is made of its answers. No LibTorch.
#ifndef DDGAN_ENGINE_DIFFUSION_UPDATE_RULE_H_
#define DDGAN_ENGINE_DIFFUSION_UPDATE_RULE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/state_update.h"

namespace ddgan {

struct UpdateRule {
  enum class Kind {
    kAncestral,           // "ancestral": the posterior at each of the T steps.
    kDdim,                // "ddim:K": K of the steps, evenly spaced, without
                          // noise (Song et al., "Denoising diffusion implicit
                          // models", ICLR 2021, eta 0).
    kPredictorCorrector,  // "pc": ancestral steps, each but the last followed
                          // by a Langevin correction at the level it reached.
  };
  Kind kind = Kind::kAncestral;
  int ddim_steps = 0;  // K of kDdim. [1, T]

  friend bool operator==(const UpdateRule&, const UpdateRule&) = default;
};

// The rule of this name on a schedule of `num_timesteps`, >= 1.
// InvalidArgument that says what is allowed, as the end of a sentence: "must be
// ancestral, ddim:K with K in [1, 4], or pc".
absl::StatusOr<UpdateRule> ParseUpdateRule(std::string_view name,
                                           int num_timesteps);

// One evaluation of the network and the move that it makes.
struct Evaluation {
  // What the network is given as t: the state is x_{t+1}, of level t + 1 of the
  // schedule's forward vectors.
  int t = 0;
  // Set: the move is this correction, which leaves the state at its level.
  // Otherwise it is `update`.
  Correction correction;
  LinearUpdate update;

  bool corrects() const { return correction.alpha > 0; }
};

// Element i: the evaluation that has i others after it. So an image begins with
// the last element, from x_T, and after element 0 it is done. An image that is
// made from a guide in k evaluations begins with element k - 1, from the guide
// diffused to level t + 1 of that element.
//
// Noise: with element i the latent and both kinds of noise of the move have i
// as step word (engine/diffusion/philox.h); for the ancestral rule that is t.
using SamplingPlan = std::vector<Evaluation>;

// `rule` is of the schedule's T.
SamplingPlan PlanSampling(const UpdateRule& rule,
                          const NoiseSchedule& schedule);

// Elements of that plan: T, K, or 2T - 1.
int CountEvaluations(const UpdateRule& rule, int num_timesteps);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DIFFUSION_UPDATE_RULE_H_
