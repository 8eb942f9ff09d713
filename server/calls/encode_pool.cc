#include "server/calls/encode_pool.h"

#include <utility>

namespace ddgan {

EncodePool::Reservation::Reservation(Reservation&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), images_(other.images_) {}

EncodePool::Reservation& EncodePool::Reservation::operator=(
    Reservation&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(images_, other.images_);
  return *this;
}

EncodePool::Reservation::~Reservation() {
  if (pool_ != nullptr) pool_->GiveBack(images_);
}

EncodePool::EncodePool(int num_threads, int capacity)
    : capacity_(capacity), threads_(num_threads) {}

std::optional<EncodePool::Reservation> EncodePool::Reserve(int images) {
  absl::MutexLock lock(&mu_);
  if (images > capacity_ - reserved_) return std::nullopt;
  reserved_ += images;
  return Reservation(this, images);
}

void EncodePool::Run(Task task) { threads_.Run(std::move(task)); }

void EncodePool::GiveBack(int images) {
  absl::MutexLock lock(&mu_);
  reserved_ -= images;
}

}  // namespace ddgan
