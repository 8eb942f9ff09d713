#include "engine/base/pixel_buffer.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ddgan {
namespace {

// Not filled with anything.
std::unique_ptr<float[]> Allocate(size_t bytes) {
  return std::make_unique_for_overwrite<float[]>((bytes + sizeof(float) - 1) /
                                                 sizeof(float));
}

}  // namespace

// Shared by a pool and the buffers that it gave out. Thread-safe.
class PixelBuffer::FreeList {
 public:
  std::unique_ptr<float[]> Take(size_t size) {
    {
      absl::MutexLock lock(&mu_);
      OfSize& of_size = Find(size);
      of_size.last_take = ++takes_;
      if (!of_size.free.empty()) {
        std::unique_ptr<float[]> memory = std::move(of_size.free.back());
        of_size.free.pop_back();
        free_bytes_ -= size;
        return memory;
      }
      // Place for every buffer that can come back, so that Give needs no
      // memory.
      if (of_size.free.capacity() == of_size.made) {
        of_size.free.reserve(2 * of_size.made + 1);
      }
      ++of_size.made;
    }
    return Allocate(size);
  }

  // `memory` is of this list.
  void Give(std::unique_ptr<float[]> memory, size_t size) noexcept {
    absl::MutexLock lock(&mu_);
    OfSize& of_size = Find(size);
    if (size > kept_bytes_) {
      --of_size.made;
      return;
    }
    while (free_bytes_ + size > kept_bytes_) FreeOne();
    of_size.free.push_back(std::move(memory));
    free_bytes_ += size;
  }

  void Keep(size_t bytes) {
    absl::MutexLock lock(&mu_);
    kept_bytes_ = std::max(kept_bytes_, bytes);
  }

  void Close() {
    absl::MutexLock lock(&mu_);
    kept_bytes_ = 0;
    while (free_bytes_ > 0) FreeOne();
  }

  size_t free_bytes() const {
    absl::MutexLock lock(&mu_);
    return free_bytes_;
  }

 private:
  struct OfSize {
    size_t size = 0;
    uint64_t last_take = 0;
    size_t made = 0;  // Given out or free.
    std::vector<std::unique_ptr<float[]>> free;
  };

  // A lane has few sizes: one or two for each kind of model.
  OfSize& Find(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (OfSize& of_size : sizes_) {
      if (of_size.size == size) return of_size;
    }
    OfSize& added = sizes_.emplace_back();
    added.size = size;
    return added;
  }

  // There is one.
  void FreeOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    OfSize* oldest = nullptr;
    for (OfSize& of_size : sizes_) {
      if (of_size.free.empty()) continue;
      if (oldest == nullptr || of_size.last_take < oldest->last_take) {
        oldest = &of_size;
      }
    }
    oldest->free.pop_back();
    --oldest->made;
    free_bytes_ -= oldest->size;
  }

  mutable absl::Mutex mu_;
  std::vector<OfSize> sizes_ ABSL_GUARDED_BY(mu_);
  uint64_t takes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t free_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t kept_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

PixelBuffer::PixelBuffer(absl::Span<const uint8_t> bytes)
    : memory_(Allocate(bytes.size())), size_(bytes.size()) {
  if (!bytes.empty()) std::memcpy(memory_.get(), bytes.data(), bytes.size());
}

PixelBuffer::~PixelBuffer() {
  if (free_list_ != nullptr) free_list_->Give(std::move(memory_), size_);
}

PixelPool::PixelPool()
    : free_list_(std::make_shared<PixelBuffer::FreeList>()) {}

PixelPool::~PixelPool() { free_list_->Close(); }

PixelBuffer PixelPool::Take(size_t size) {
  PixelBuffer buffer;
  buffer.memory_ = free_list_->Take(size);
  buffer.size_ = size;
  buffer.free_list_ = free_list_;
  return buffer;
}

void PixelPool::Keep(size_t bytes) { free_list_->Keep(bytes); }

size_t PixelPool::free_bytes() const { return free_list_->free_bytes(); }

}  // namespace ddgan
