#include "engine/diffusion/update_rule.h"

#include <charconv>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr std::string_view kAncestral = "ancestral";
constexpr std::string_view kDdimPrefix = "ddim:";
constexpr std::string_view kPredictorCorrector = "pc";

Evaluation AncestralStep(const NoiseSchedule& schedule, int t) {
  Evaluation step;
  step.t = t;
  step.update = {schedule.c1[t], schedule.c2[t], schedule.stddev[t]};
  return step;
}

// At x_{t+1}.
Evaluation LangevinCorrection(const NoiseSchedule& schedule, int t) {
  const int level = t + 1;
  Evaluation step;
  step.t = t;
  step.correction = {schedule.a[level] * schedule.a[level], schedule.ac[level],
                     schedule.sc[level] * schedule.sc[level]};
  return step;
}

// From level `from` to level `to`, which is smaller: x0' and the noise that the
// state would hold if x0' were true.
Evaluation DdimStep(const NoiseSchedule& schedule, int from, int to) {
  const double noise_kept =
      static_cast<double>(schedule.sc[to]) / schedule.sc[from];
  Evaluation step;
  step.t = from - 1;
  step.update = {
      static_cast<float>(schedule.ac[to] - noise_kept * schedule.ac[from]),
      static_cast<float>(noise_kept), 0};
  return step;
}

}  // namespace

absl::StatusOr<UpdateRule> ParseUpdateRule(std::string_view name,
                                           int num_timesteps) {
  if (name == kAncestral) return UpdateRule{UpdateRule::Kind::kAncestral};
  if (name == kPredictorCorrector)
    return UpdateRule{UpdateRule::Kind::kPredictorCorrector};
  if (name.substr(0, kDdimPrefix.size()) == kDdimPrefix) {
    const std::string_view digits = name.substr(kDdimPrefix.size());
    int steps = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), steps);
    // One spelling for each rule.
    const bool is_plain = !digits.empty() && digits.front() != '0' &&
                          end == digits.data() + digits.size();
    if (is_plain && error == std::errc() && steps >= 1 &&
        steps <= num_timesteps)
      return UpdateRule{UpdateRule::Kind::kDdim, steps};
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "must be ancestral, ddim:K with K in [1, ", num_timesteps, "], or pc"));
}

SamplingPlan PlanSampling(const UpdateRule& rule,
                          const NoiseSchedule& schedule) {
  const int steps = schedule.num_timesteps();
  SamplingPlan plan;
  switch (rule.kind) {
    case UpdateRule::Kind::kAncestral:
      for (int t = 0; t < steps; ++t)
        plan.push_back(AncestralStep(schedule, t));
      break;
    case UpdateRule::Kind::kDdim: {
      const auto level = [&](int i) { return i * steps / rule.ddim_steps; };
      for (int i = 0; i < rule.ddim_steps; ++i)
        plan.push_back(DdimStep(schedule, level(i + 1), level(i)));
      break;
    }
    case UpdateRule::Kind::kPredictorCorrector:
      for (int t = 0; t < steps; ++t) {
        plan.push_back(AncestralStep(schedule, t));
        // Runs before it, at the level that the step above it reaches.
        if (t + 1 < steps) plan.push_back(LangevinCorrection(schedule, t));
      }
      break;
  }
  return plan;
}

int CountEvaluations(const UpdateRule& rule, int num_timesteps) {
  switch (rule.kind) {
    case UpdateRule::Kind::kAncestral:
      return num_timesteps;
    case UpdateRule::Kind::kDdim:
      return rule.ddim_steps;
    case UpdateRule::Kind::kPredictorCorrector:
      return 2 * num_timesteps - 1;
  }
  return num_timesteps;
}

}  // namespace ddgan
