// Device memory for images in flight, handed out one image at a time.
#ifndef DDGAN_ENGINE_LANES_GPU_SLOT_POOL_H_
#define DDGAN_ENGINE_LANES_GPU_SLOT_POOL_H_

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <vector>

#include "engine/lanes/step_backend.h"

namespace ddgan {

// Grows by `slab` images at a time, and never shrinks. Thread-compatible.
class SlotPool {
 public:
  // Slots of `numel` floats on `device`.
  SlotPool(c10::Device device, int64_t numel, int64_t slab)
      : device_(device), numel_(numel), slab_(slab) {}

  bool empty() const { return free_.empty(); }

  // Adds free slots. Throws c10::OutOfMemoryError and has changed nothing then.
  void Grow() {
    const auto slots =
        static_cast<ImageSlot>(slabs_.size()) * static_cast<ImageSlot>(slab_);
    free_.reserve(static_cast<size_t>(slots + slab_));
    slabs_.push_back(
        at::empty({slab_, numel_}, at::dtype(at::kFloat).device(device_)));
    for (auto i = static_cast<ImageSlot>(slab_); i-- > 0;) {
      free_.push_back(slots + i);
    }
  }

  // The pool is not empty. The content is unspecified.
  ImageSlot Take() {
    const ImageSlot slot = free_.back();
    free_.pop_back();
    return slot;
  }

  // `slot` came from Take(); kNoSlot is ignored. Needs no memory.
  void Give(ImageSlot slot) noexcept {
    if (slot != kNoSlot) free_.push_back(slot);
  }

  // The slot's memory on the device; null for kNoSlot.
  float* At(ImageSlot slot) const {
    if (slot == kNoSlot) return nullptr;
    return slabs_[slot / slab_].mutable_data_ptr<float>() +
           slot % slab_ * numel_;
  }

  int64_t bytes() const {
    return static_cast<int64_t>(slabs_.size() * slab_ * numel_ * sizeof(float));
  }

 private:
  const c10::Device device_;
  const int64_t numel_;
  const int64_t slab_;
  std::vector<at::Tensor> slabs_;
  std::vector<ImageSlot> free_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_SLOT_POOL_H_
