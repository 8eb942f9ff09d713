#include "trainer/networks/networks.h"

#include <c10/util/Exception.h>

#include <optional>

#include "trainer/networks/toy_networks.h"

namespace ddgan {
namespace {

class NcsnppNetworks : public Networks {
 public:
  NcsnppNetworks(const NetworksConfig& config, const Parameters& generator,
                 const Parameters& discriminator)
      : generator_(config.model, generator) {
    if (!discriminator.empty())
      discriminator_.emplace(config.discriminator, discriminator);
  }

  at::Tensor Generate(const at::Tensor& x, const at::Tensor& t,
                      const at::Tensor& z) const override {
    return generator_.Forward(x, t, z);
  }

  at::Tensor Discriminate(const at::Tensor& x, const at::Tensor& t,
                          const at::Tensor& x_next) const override {
    TORCH_CHECK(discriminator_, "there is no discriminator");
    return discriminator_->Forward(x, t, x_next);
  }

 private:
  const Generator generator_;
  std::optional<Discriminator> discriminator_;
};

}  // namespace

std::vector<ParameterPlan> PlanGeneratorParameters(
    const NetworksConfig& config) {
  return config.kind == NetworkKind::kToyMlp
             ? PlanToyGenerator(config.toy_width, config.model.nz)
             : PlanGenerator(config.model).parameters;
}

std::vector<ParameterPlan> PlanDiscriminatorParameters(
    const NetworksConfig& config) {
  if (IsDenoiser(config.model)) return {};
  return config.kind == NetworkKind::kToyMlp
             ? PlanToyDiscriminator(config.toy_width)
             : PlanDiscriminator(config.discriminator);
}

std::unique_ptr<Networks> CreateNetworks(
    const NetworksConfig& config, const Parameters& generator_parameters,
    const Parameters& discriminator_parameters) {
  if (config.kind == NetworkKind::kToyMlp) {
    return CreateToyNetworks(generator_parameters, discriminator_parameters);
  }
  return std::make_unique<NcsnppNetworks>(config, generator_parameters,
                                          discriminator_parameters);
}

}  // namespace ddgan
