// Networks for points in the plane, as for the paper's 25
// Gaussians: generator and discriminator of three fully connected hidden
// layers each. How they see the step is not published; here the sinusoidal
// embedding of t is one of their inputs.
#ifndef DDGAN_TRAINER_NETWORKS_TOY_NETWORKS_H_
#define DDGAN_TRAINER_NETWORKS_TOY_NETWORKS_H_

#include <memory>
#include <vector>

#include "trainer/networks/networks.h"

namespace ddgan {

// G: [x, z, embedding of t] -> 3 x (linear, LeakyReLU 0.2) -> linear -> x0',
// without tanh, since points are not bounded. D: [x_t, x_{t+1}, embedding of
// t] -> 3 x (linear, LeakyReLU 0.2) -> linear -> logit. Weights are drawn from
// U(-b, b) with b = sqrt(6 / (1.04 fan_in)) (He et al., ICCV 2015, equation
// 15), those of G's output 100 times smaller; biases are 0.
std::vector<ParameterPlan> PlanToyGenerator(int width, int nz);
std::vector<ParameterPlan> PlanToyDiscriminator(int width);

std::unique_ptr<Networks> CreateToyNetworks(
    const Parameters& generator_parameters,
    const Parameters& discriminator_parameters);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_NETWORKS_TOY_NETWORKS_H_
