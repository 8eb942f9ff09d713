// Randomness that is the same with every standard library, unlike <random>'s
// distributions: a run of the load generator can be repeated anywhere.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_UNIFORM_RANDOM_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_UNIFORM_RANDOM_H_

#include <random>

namespace ddgan {

// Uniform in [0, 1), a multiple of 2^-53.
inline double Uniform(std::mt19937_64* engine) {
  return static_cast<double>((*engine)() >> 11) * 0x1p-53;
}

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_UNIFORM_RANDOM_H_
