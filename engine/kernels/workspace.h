// Memory for intermediate results, used again and again: after the first passes
// of a generator nothing is allocated any more.
#ifndef DDGAN_ENGINE_KERNELS_WORKSPACE_H_
#define DDGAN_ENGINE_KERNELS_WORKSPACE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/kernels/float_buffer.h"

namespace ddgan::kernels {

// Thread-compatible, buffers included. Outlives its buffers.
class Workspace {
 private:
  struct Slot {
    FloatBuffer memory;
    int64_t capacity = 0;
    int users = 0;
  };

 public:
  // Shared by its copies; the memory is free again when the last one goes.
  class Buffer {
   public:
    Buffer() = default;
    Buffer(const Buffer& other) : slot_(other.slot_) { Join(); }
    Buffer(Buffer&& other) noexcept : slot_(std::exchange(other.slot_, {})) {}
    Buffer& operator=(Buffer other) noexcept {
      std::swap(slot_, other.slot_);
      return *this;
    }
    ~Buffer() {
      if (slot_ != nullptr) --slot_->users;
    }
    float* data() const { return slot_->memory.get(); }

   private:
    friend class Workspace;
    explicit Buffer(Slot* slot) : slot_(slot) { Join(); }
    void Join() {
      if (slot_ != nullptr) ++slot_->users;
    }

    Slot* slot_ = nullptr;
  };

  // At least `count` floats of any value, aligned as a FloatBuffer. Throws
  // std::bad_alloc.
  Buffer Take(int64_t count);

  // Memory held, in use or not.
  int64_t bytes() const;

  // Gives back what is not in use.
  void Shrink();

 private:
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_WORKSPACE_H_
