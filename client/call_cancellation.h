// Ends a client's calls from another thread.
#ifndef DDGAN_CLIENT_CALL_CANCELLATION_H_
#define DDGAN_CLIENT_CALL_CANCELLATION_H_

#include <grpcpp/client_context.h>

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ddgan {

// Given to a client (ImageClient::Options), whose calls it can then end: one
// that waits for the server, one that waits for a retry, and each that begins
// afterwards. They return Cancelled, and the server stops the work.
// Thread-safe.
class CallCancellation {
 public:
  CallCancellation() = default;
  CallCancellation(const CallCancellation&) = delete;
  CallCancellation& operator=(const CallCancellation&) = delete;

  // For good. Returns at once, before the calls have ended.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);
  bool cancelled() const ABSL_LOCKS_EXCLUDED(mu_);

  // Returns after `duration`, or earlier, and then true, once cancelled.
  bool SleepUnlessCancelled(absl::Duration duration) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // As long as it lives, Cancel cancels the call of `context`; at once if it
  // has been called before. For ImageClient. A null `cancellation` is none.
  class Attached {
   public:
    Attached(CallCancellation* cancellation, grpc::ClientContext* context);
    ~Attached();
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;

   private:
    CallCancellation* const cancellation_;
    grpc::ClientContext* const context_;
  };

 private:
  mutable absl::Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::set<grpc::ClientContext*> under_way_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_CALL_CANCELLATION_H_
