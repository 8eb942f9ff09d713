#include "trainer/step/learning_rate.h"

#include <cmath>
#include <numbers>

namespace ddgan {

double CosineLearningRate(double base, int epoch, int num_epochs) {
  constexpr double kFloor = 1e-5;
  const double phase = std::numbers::pi * epoch / num_epochs;
  return kFloor + (base - kFloor) * (1 + std::cos(phase)) / 2;
}

}  // namespace ddgan
