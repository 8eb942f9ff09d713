// Counter-based normal noise, one definition for CPU and CUDA: Philox 4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11) and
// Box-Muller. The noise of an image is a function of (seed, image index, step,
// stream, element) alone, so any part of it can be computed anywhere.
#ifndef DDGAN_ENGINE_DIFFUSION_PHILOX_H_
#define DDGAN_ENGINE_DIFFUSION_PHILOX_H_

#include <cmath>
#include <cstdint>

#include "engine/base/host_device.h"

namespace ddgan {

struct Philox4 {
  uint32_t w[4];
};

// The counter after 10 rounds under `key`.
DDGAN_HOST_DEVICE inline Philox4 Philox4x32_10(Philox4 counter,
                                               const uint32_t (&key)[2]) {
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter.w[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * counter.w[2];
    counter = {{static_cast<uint32_t>(p1 >> 32) ^ counter.w[1] ^ k0,
                static_cast<uint32_t>(p1),
                static_cast<uint32_t>(p0 >> 32) ^ counter.w[3] ^ k1,
                static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

// What a tensor of noise is for. The value is a counter word.
enum class NoiseStream : uint32_t {
  kInitial = 0,    // x_T; step word T
  kLatent = 1,     // z; step word t
  kPosterior = 2,  // of an update; step word t, unused where it has no noise
  kGuide = 3,      // diffuses a guide picture; step word = steps still to run
  kLangevin = 4,   // of a correction; step word t
};

// t above is the number of evaluations that an image has still before it after
// this one. For the ancestral rule (update_rule.h) that is the t of the
// network.

// Whose noise: one tensor of one image.
struct NoiseKey {
  uint64_t seed;
  uint32_t image_index;
  uint32_t step;
  NoiseStream stream;
};

// A word as (word + 1/2) / 2^32, in (0, 1]. Every operation here and below
// rounds to float32; a product with a power of two does so without an error.
DDGAN_HOST_DEVICE inline float UnitInterval(uint32_t word) {
  constexpr float kScale = 2.3283064365386963e-10f;  // 2^-32
  constexpr float kHalf = 1.1641532182693481e-10f;   // 2^-33
  return static_cast<float>(word) * kScale + kHalf;
}

// A word as an angle in [0, 2 pi].
DDGAN_HOST_DEVICE inline float Angle(uint32_t word) {
  return UnitInterval(word) * 6.2831855f;
}

// Two words to two independent standard normals, sine first: on a GPU. On a CPU
// the C library's functions decide the last bits, so lanes and the trainer take
// engine/kernels/normal_noise.h; this is for comparison there.
DDGAN_HOST_DEVICE inline void BoxMuller(uint32_t w0, uint32_t w1, float* first,
                                        float* second) {
  const float u = UnitInterval(w0), v = Angle(w1);
#ifdef __CUDA_ARCH__
  // Not the intrinsics, and not contracted to a fused multiply-add.
  const float r = sqrtf(-2.0f * logf(u));
  *first = __fmul_rn(r, sinf(v));
  *second = __fmul_rn(r, cosf(v));
#else
  const float r = std::sqrt(-2.0f * std::log(u));
  *first = r * std::sin(v);
  *second = r * std::cos(v);
#endif
}

// Elements 4 block .. 4 block + 3 of a tensor's noise.
DDGAN_HOST_DEVICE inline void NormalBlock(const NoiseKey& key, uint32_t block,
                                          float (&out)[4]) {
  const uint32_t words[2] = {static_cast<uint32_t>(key.seed),
                             static_cast<uint32_t>(key.seed >> 32)};
  const Philox4 w = Philox4x32_10(
      {{block, key.image_index, key.step, static_cast<uint32_t>(key.stream)}},
      words);
  BoxMuller(w.w[0], w.w[1], &out[0], &out[1]);
  BoxMuller(w.w[2], w.w[3], &out[2], &out[3]);
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DIFFUSION_PHILOX_H_
