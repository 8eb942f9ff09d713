#include "engine/kernels/workspace.h"

#include <cstddef>

namespace ddgan::kernels {

Workspace::Buffer Workspace::Take(int64_t count) {
  Slot* best = nullptr;
  for (const std::unique_ptr<Slot>& slot : slots_) {
    if (slot->users == 0 && slot->capacity >= count &&
        (best == nullptr || slot->capacity < best->capacity)) {
      best = slot.get();
    }
  }
  if (best == nullptr) {
    auto slot = std::make_unique<Slot>();
    slot->memory = NewFloatBuffer(count);
    slot->capacity = count;
    slots_.push_back(std::move(slot));
    best = slots_.back().get();
  }
  return Buffer(best);
}

int64_t Workspace::bytes() const {
  int64_t floats = 0;
  for (const std::unique_ptr<Slot>& slot : slots_) floats += slot->capacity;
  return floats * static_cast<int64_t>(sizeof(float));
}

void Workspace::Shrink() {
  std::erase_if(slots_, [](const std::unique_ptr<Slot>& slot) {
    return slot->users == 0;
  });
}

}  // namespace ddgan::kernels
