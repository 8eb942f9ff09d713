#include "server/connections/calls_in_flight.h"

namespace ddgan {

CallsInFlight::Call::Call(CallsInFlight* calls) : calls_(calls) {
  absl::MutexLock lock(&calls_->mu_);
  ++calls_->count_;
}

CallsInFlight::Call::~Call() {
  const absl::Time now = calls_->clock_->Now();
  absl::MutexLock lock(&calls_->mu_);
  --calls_->count_;
  calls_->last_ended_ = now;
}

CallsInFlight::Snapshot CallsInFlight::Now() const {
  absl::MutexLock lock(&mu_);
  return {count_, last_ended_};
}

}  // namespace ddgan
