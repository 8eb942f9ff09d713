// The number formats in which a GPU lane can run a generator. No LibTorch.
#ifndef DDGAN_ENGINE_API_PRECISION_H_
#define DDGAN_ENGINE_API_PRECISION_H_

namespace ddgan {

// Noise, the posterior and x_t are float32 in all of them.
enum class Precision {
  kFloat32,   // Weights, activations and products in float32.
  kTf32,      // The same, but the GPU may round the factors of convolutions and
              // matrix products to 10 bits of mantissa, for its tensor cores.
  kBfloat16,  // Weights and activations in bfloat16.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_API_PRECISION_H_
