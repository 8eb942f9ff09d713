#include "trainer/step/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ddgan {

double CosineLearningRate(double base, int epoch, int num_epochs) {
  const double floor = std::min(base, 1e-5);
  const double phase = std::numbers::pi * epoch / num_epochs;
  return floor + (base - floor) * (1 + std::cos(phase)) / 2;
}

}  // namespace ddgan
