#include "client/call_cancellation.h"

namespace ddgan {

void CallCancellation::Cancel() {
  absl::MutexLock lock(&mu_);
  cancelled_ = true;
  for (grpc::ClientContext* const context : under_way_) context->TryCancel();
}

bool CallCancellation::cancelled() const {
  absl::MutexLock lock(&mu_);
  return cancelled_;
}

bool CallCancellation::SleepUnlessCancelled(absl::Duration duration) const {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&cancelled_), duration);
}

CallCancellation::Attached::Attached(CallCancellation* cancellation,
                                     grpc::ClientContext* context)
    : cancellation_(cancellation), context_(context) {
  if (cancellation_ == nullptr) return;
  absl::MutexLock lock(&cancellation_->mu_);
  cancellation_->under_way_.insert(context_);
  if (cancellation_->cancelled_) context_->TryCancel();
}

CallCancellation::Attached::~Attached() {
  if (cancellation_ == nullptr) return;
  absl::MutexLock lock(&cancellation_->mu_);
  cancellation_->under_way_.erase(context_);
}

}  // namespace ddgan
