#include "server/encode_pool.h"

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

EncodePool::EncodePool(int num_threads, int capacity) : capacity_(capacity) {
  threads_.reserve(num_threads);
  for (int i = 0; i < num_threads; ++i) {
    threads_.emplace_back([this] { RunTasks(); });
  }
}

EncodePool::~EncodePool() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

std::optional<EncodePool::Reservation> EncodePool::Reserve(int images) {
  absl::MutexLock lock(&mu_);
  if (images > capacity_ - reserved_) return std::nullopt;
  reserved_ += images;
  return Reservation(this, images);
}

void EncodePool::Run(Task task) {
  absl::MutexLock lock(&mu_);
  tasks_.push_back(std::move(task));
}

void EncodePool::GiveBack(int images) {
  absl::MutexLock lock(&mu_);
  reserved_ -= images;
}

void EncodePool::RunTasks() {
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &EncodePool::HasWorkOrStops));
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    std::move(task)();
  }
}

}  // namespace ddgan
