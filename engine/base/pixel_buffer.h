// Host memory for pictures that is used again, so that a picture which leaves
// the engine costs no allocation.
#ifndef DDGAN_ENGINE_BASE_PIXEL_BUFFER_H_
#define DDGAN_ENGINE_BASE_PIXEL_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/types/span.h"

namespace ddgan {

// The bytes of one picture, aligned for floats. Converts to a span of them.
// Movable only: what came from a pool goes back to it when its owner lets go,
// on whatever thread, and is freed if the pool is gone by then.
class PixelBuffer {
 public:
  PixelBuffer() = default;
  // A copy of `bytes`, of no pool.
  explicit PixelBuffer(absl::Span<const uint8_t> bytes);
  PixelBuffer(PixelBuffer&& other) noexcept { Swap(other); }
  PixelBuffer& operator=(PixelBuffer&& other) noexcept {
    PixelBuffer(std::move(other)).Swap(*this);
    return *this;
  }
  ~PixelBuffer();

  uint8_t* data() { return reinterpret_cast<uint8_t*>(memory_.get()); }
  const uint8_t* data() const {
    return reinterpret_cast<const uint8_t*>(memory_.get());
  }
  size_t size() const { return size_; }

  // The same memory where it holds float32.
  float* floats() { return memory_.get(); }
  const float* floats() const { return memory_.get(); }

 private:
  friend class PixelPool;
  class FreeList;

  void Swap(PixelBuffer& other) noexcept {
    memory_.swap(other.memory_);
    std::swap(size_, other.size_);
    free_list_.swap(other.free_list_);
  }

  std::unique_ptr<float[]> memory_;
  size_t size_ = 0;
  std::shared_ptr<FreeList> free_list_;  // Where it goes back to; may be null.
};

// Thread-safe.
class PixelPool {
 public:
  PixelPool();
  // Frees what lies in it.
  ~PixelPool();

  PixelPool(const PixelPool&) = delete;
  PixelPool& operator=(const PixelPool&) = delete;

  // `size` bytes of unspecified content. Allocates nothing if a buffer of that
  // size has come back. Throws std::bad_alloc.
  PixelBuffer Take(size_t size);

  // Keeps up to so many bytes for reuse, 0 at first; a lower number than before
  // changes nothing. Beyond it, sizes that were not asked for lately go first.
  void Keep(size_t bytes);

  // What lies in it for reuse.
  size_t free_bytes() const;

 private:
  const std::shared_ptr<PixelBuffer::FreeList> free_list_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_PIXEL_BUFFER_H_
