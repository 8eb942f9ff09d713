// Device memory for images in flight, handed out one image at a time.
#ifndef DDGAN_ENGINE_LANES_GPU_SLOT_POOL_H_
#define DDGAN_ENGINE_LANES_GPU_SLOT_POOL_H_

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <vector>

namespace ddgan {

// Grows by `slab` images when none is free, and never shrinks. Thread-
// compatible.
class SlotPool {
 public:
  // Slots of `numel` floats on `device`.
  SlotPool(c10::Device device, int64_t numel, int64_t slab)
      : device_(device), numel_(numel), slab_(slab) {}

  // The content is unspecified. Throws c10::OutOfMemoryError.
  float* Take() {
    if (free_.empty()) Grow();
    float* slot = free_.back();
    free_.pop_back();
    return slot;
  }

  // `slot` came from Take(); null is ignored. Needs no memory.
  void Give(float* slot) {
    if (slot != nullptr) free_.push_back(slot);
  }

  int64_t bytes() const {
    return static_cast<int64_t>(slabs_.size() * slab_ * numel_ * sizeof(float));
  }

 private:
  void Grow() {
    free_.reserve((slabs_.size() + 1) * static_cast<size_t>(slab_));
    slabs_.push_back(
        at::empty({slab_, numel_}, at::dtype(at::kFloat).device(device_)));
    float* slots = slabs_.back().mutable_data_ptr<float>();
    for (int64_t i = slab_; i-- > 0;) free_.push_back(slots + i * numel_);
  }

  const c10::Device device_;
  const int64_t numel_;
  const int64_t slab_;
  std::vector<at::Tensor> slabs_;
  std::vector<float*> free_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_SLOT_POOL_H_
