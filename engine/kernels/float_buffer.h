// Floats in memory that starts at a cache line.
#ifndef DDGAN_ENGINE_KERNELS_FLOAT_BUFFER_H_
#define DDGAN_ENGINE_KERNELS_FLOAT_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace ddgan::kernels {

struct FreeMemory {
  void operator()(float* memory) const { std::free(memory); }
};

// The floats are not initialised.
using FloatBuffer = std::unique_ptr<float[], FreeMemory>;

// Throws std::bad_alloc.
inline FloatBuffer NewFloatBuffer(int64_t count) {
  constexpr size_t kLine = 64;
  const size_t bytes =
      (static_cast<size_t>(count) * sizeof(float) + kLine - 1) / kLine * kLine;
  void* memory = std::aligned_alloc(kLine, bytes == 0 ? kLine : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return FloatBuffer(static_cast<float*>(memory));
}

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_FLOAT_BUFFER_H_
