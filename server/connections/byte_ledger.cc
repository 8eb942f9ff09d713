#include "server/connections/byte_ledger.h"

#include <algorithm>
#include <utility>

namespace ddgan {

ByteLedger::Reservation::Reservation(ByteLedger* ledger, std::string caller,
                                     int64_t bytes)
    : ledger_(ledger), caller_(std::move(caller)), bytes_(bytes) {}

ByteLedger::Reservation::Reservation(Reservation&& other) noexcept
    : ledger_(std::exchange(other.ledger_, nullptr)),
      caller_(std::move(other.caller_)),
      bytes_(std::exchange(other.bytes_, 0)) {}

ByteLedger::Reservation& ByteLedger::Reservation::operator=(
    Reservation&& other) noexcept {
  std::swap(ledger_, other.ledger_);
  std::swap(caller_, other.caller_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

ByteLedger::Reservation::~Reservation() { ShrinkTo(0); }

void ByteLedger::Reservation::ShrinkTo(int64_t bytes) {
  bytes = std::max(bytes, int64_t{0});
  if (bytes >= bytes_) return;
  ledger_->GiveBack(caller_, bytes_ - bytes);
  bytes_ = bytes;
}

ByteLedger::ByteLedger(const Limits& limits,
                       std::function<void(int64_t)> on_change)
    : limits_(limits), on_change_(std::move(on_change)) {}

std::variant<ByteLedger::Reservation, ByteLedger::Refusal> ByteLedger::Reserve(
    const std::string& caller, int64_t bytes) {
  if (bytes == 0) return Reservation();
  absl::MutexLock lock(&mu_);
  if (bytes > limits_.total - reserved_) return Refusal::kTotal;
  const auto found = reserved_by_caller_.find(caller);
  const int64_t has = found == reserved_by_caller_.end() ? 0 : found->second;
  if (bytes > limits_.per_caller - has) return Refusal::kCaller;
  reserved_ += bytes;
  reserved_by_caller_[caller] = has + bytes;
  on_change_(reserved_);
  return Reservation(this, caller, bytes);
}

size_t ByteLedger::callers() const {
  absl::MutexLock lock(&mu_);
  return reserved_by_caller_.size();
}

void ByteLedger::GiveBack(const std::string& caller, int64_t bytes) {
  absl::MutexLock lock(&mu_);
  reserved_ -= bytes;
  const auto found = reserved_by_caller_.find(caller);
  found->second -= bytes;
  if (found->second == 0) reserved_by_caller_.erase(found);
  on_change_(reserved_);
}

}  // namespace ddgan
