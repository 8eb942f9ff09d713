#include "server/connections/write_watch.h"

#include <grpc/grpc.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "spdlog/spdlog.h"

namespace ddgan {

// Shared with what waits in the timer.
class WriteWatch::State : public std::enable_shared_from_this<State> {
 public:
  State(const Parts& parts, grpc::CallbackServerContext* context)
      : parts_(parts), peer_(EndpointOf(context->peer())) {
    absl::MutexLock lock(&mu_);
    call_ = context->c_call();
    // Cancelling must be possible whatever gRPC does meanwhile.
    grpc_call_ref(call_);
  }

  void Begin() {
    absl::MutexLock lock(&mu_);
    if (call_ == nullptr) return;
    Arm(timed_out_ ? LetGoTime() : parts_.timeout);
  }

  void End() {
    absl::MutexLock lock(&mu_);
    Disarm();
  }

  void LetGo() {
    grpc_call* call;
    {
      absl::MutexLock lock(&mu_);
      Disarm();
      call = std::exchange(call_, nullptr);
    }
    if (call != nullptr) grpc_call_unref(call);
  }

  bool timed_out() const {
    absl::MutexLock lock(&mu_);
    return timed_out_;
  }

 private:
  absl::Duration LetGoTime() const {
    return std::min(kLetGoTime, parts_.timeout);
  }

  void Arm(absl::Duration after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const int write = ++write_;
    armed_ = parts_.timer->Add(after, [self = shared_from_this(), write] {
      self->HandleExpiry(write);
    });
  }

  void Disarm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ++write_;
    if (armed_.has_value()) parts_.timer->Remove(*armed_);
    armed_.reset();
  }

  void HandleExpiry(int write) {
    grpc_call* call = nullptr;
    {
      absl::MutexLock lock(&mu_);
      if (write != write_) return;  // It ended just now.
      if (!std::exchange(timed_out_, true)) {
        call = call_;
        grpc_call_ref(call);
        Arm(LetGoTime());
      }
    }
    if (call != nullptr) {
      parts_.metrics->OnWriteTimeout(WriteTimeout::kCall);
      // Without a lock: gRPC may call the reactor back from here.
      const std::string message =
          absl::StrCat("what was sent was not read within ",
                       absl::FormatDuration(parts_.timeout));
      grpc_call_cancel_with_status(call, GRPC_STATUS_DEADLINE_EXCEEDED,
                                   message.c_str(), nullptr);
      grpc_call_unref(call);
    } else {
      spdlog::info("connection of {} is cut: it takes no bytes", peer_.host);
      parts_.metrics->OnWriteTimeout(WriteTimeout::kConnection);
      parts_.cut(peer_);
    }
  }

  // Constant after construction.
  const Parts& parts_;
  const PeerEndpoint peer_;

  mutable absl::Mutex mu_;
  grpc_call* call_ ABSL_GUARDED_BY(mu_) = nullptr;  // Null once let go.
  bool timed_out_ ABSL_GUARDED_BY(mu_) = false;
  // Changes with every beginning and end, so that an expiry which comes late
  // knows.
  int write_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<DeadlineTimer::Key> armed_ ABSL_GUARDED_BY(mu_);
};

WriteWatch::WriteWatch(const Parts& parts, grpc::CallbackServerContext* context)
    : state_(std::make_shared<State>(parts, context)) {}

WriteWatch::~WriteWatch() { state_->LetGo(); }

void WriteWatch::Begin() { state_->Begin(); }
void WriteWatch::End() { state_->End(); }
void WriteWatch::LetGo() { state_->LetGo(); }
bool WriteWatch::timed_out() const { return state_->timed_out(); }

}  // namespace ddgan
