#include "trainer/networks/toy_networks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linear.h>
#include <c10/util/Exception.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/model/time_embedding.h"

namespace ddgan {
namespace {

constexpr int kDimensions = 2;
constexpr int kTimeWidth = 32;
constexpr int kHiddenLayers = 3;
constexpr double kSlope = 0.2;

// Layers k = 0..3 as `<prefix><k>.weight` and `.bias`.
std::vector<ParameterPlan> PlanLayers(const char* prefix, int in, int width,
                                      int out, double output_scale) {
  std::vector<ParameterPlan> plan;
  for (int k = 0; k <= kHiddenLayers; ++k) {
    const bool last = k == kHiddenLayers;
    const int64_t rows = last ? out : width;
    const int64_t columns = k == 0 ? in : width;
    const double bound =
        std::sqrt(6 / ((1 + kSlope * kSlope) * static_cast<double>(columns)));
    const std::string name = absl::StrCat(prefix, k);
    plan.push_back({name + ".weight",
                    {rows, columns},
                    {.bound = last ? bound * output_scale : bound}});
    plan.push_back({name + ".bias", {rows}, {}});
  }
  return plan;
}

at::Tensor RunLayers(const Parameters& parameters, at::Tensor h) {
  for (int k = 0; k < kHiddenLayers; ++k) {
    h = at::leaky_relu(at::linear(h, parameters[2 * k], parameters[2 * k + 1]),
                       kSlope);
  }
  return at::linear(h, parameters[2 * kHiddenLayers],
                    parameters[2 * kHiddenLayers + 1]);
}

class ToyNetworks : public Networks {
 public:
  ToyNetworks(Parameters generator, Parameters discriminator)
      : generator_(std::move(generator)),
        discriminator_(std::move(discriminator)) {}

  at::Tensor Generate(const at::Tensor& x, const at::Tensor& t,
                      const at::Tensor& z) const override {
    const at::Tensor input =
        at::cat({x.flatten(1), z, SinusoidalEmbedding(t, kTimeWidth)}, 1);
    return RunLayers(generator_, input).view(x.sizes());
  }

  at::Tensor Discriminate(const at::Tensor& x, const at::Tensor& t,
                          const at::Tensor& x_next) const override {
    TORCH_CHECK(!discriminator_.empty(), "there is no discriminator");
    const at::Tensor input = at::cat(
        {x.flatten(1), x_next.flatten(1), SinusoidalEmbedding(t, kTimeWidth)},
        1);
    return RunLayers(discriminator_, input);
  }

 private:
  const Parameters generator_;
  const Parameters discriminator_;
};

}  // namespace

std::vector<ParameterPlan> PlanToyGenerator(int width, int nz) {
  return PlanLayers("generator.", kDimensions + nz + kTimeWidth, width,
                    kDimensions, /*output_scale=*/0.01);
}

std::vector<ParameterPlan> PlanToyDiscriminator(int width) {
  return PlanLayers("discriminator.", 2 * kDimensions + kTimeWidth, width, 1,
                    /*output_scale=*/1);
}

std::unique_ptr<Networks> CreateToyNetworks(
    const Parameters& generator_parameters,
    const Parameters& discriminator_parameters) {
  return std::make_unique<ToyNetworks>(generator_parameters,
                                       discriminator_parameters);
}

}  // namespace ddgan
