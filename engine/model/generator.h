// The DDGAN generator G(x, t, z) -> x0' (Xiao, Kreis, Vahdat, ICLR 2022): an
// NCSN++ U-Net whose group norms take their scale and shift from the latent.
// This is the general form: any float dtype and device, any batch, autograd.
// Serving on the CPU uses cpu_generator.h instead.
#ifndef DDGAN_ENGINE_MODEL_GENERATOR_H_
#define DDGAN_ENGINE_MODEL_GENERATOR_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/model/generator_plan.h"
#include "engine/model/model_config.h"
#include "engine/model/operators.h"

namespace ddgan {

// Parameters of a trainable network, in the order of its plan.
using Parameters = std::vector<at::Tensor>;

// Thread-compatible; Forward may run on several threads at once as long as
// nobody writes the parameters.
class Generator {
 public:
  // Called with a module's index and its own output, e.g. to look at
  // activations.
  using ModuleHook = std::function<void(size_t, const at::Tensor&)>;

  // `parameters` have the shapes of PlanGenerator(config).parameters, one dtype
  // and one device. They are shared, not copied: an optimiser may update them
  // in place.
  Generator(const ModelConfig& config, Parameters parameters);

  // x [B, C, S, S], t [B] int64 in [0, T), z [B, nz] -> x0' [B, C, S, S] in
  // [-1, 1]. x and z have the parameters' dtype. Throws c10::Error on shapes
  // that do not fit.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& t,
                     const at::Tensor& z) const;
  // The same before the final tanh.
  at::Tensor ForwardWithoutTanh(const at::Tensor& x, const at::Tensor& t,
                                const at::Tensor& z,
                                const ModuleHook& hook = nullptr) const;
  // z [B, nz] -> [B, z_emb_dim].
  at::Tensor Style(const at::Tensor& z) const;
  // t [B] -> [B, 4 nf], before the activation that each block applies.
  at::Tensor TimeFeatures(const at::Tensor& t) const;

  const ModelConfig& config() const { return config_; }
  const GeneratorPlan& plan() const { return plan_; }
  const Parameters& parameters() const { return parameters_; }
  // Index in parameters() of module i's first parameter.
  size_t FirstParameter(size_t module) const { return first_[module]; }
  // Index of the latent mapping's first parameter.
  size_t FirstLatentParameter() const { return first_.back(); }

 private:
  class Modules;

  const ModelConfig config_;
  const GeneratorPlan plan_;
  const Parameters parameters_;
  const FirKernel fir_;
  std::vector<size_t> first_;  // plan_.modules.size() + 1 entries
};

// Freshly drawn float32 parameters on the CPU (MODEL.md 3.4), a function of
// `seed` alone.
Parameters InitialParameters(const std::vector<ParameterPlan>& plan,
                             uint64_t seed);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_GENERATOR_H_
