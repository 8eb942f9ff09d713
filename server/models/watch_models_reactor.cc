#include "server/models/watch_models_reactor.h"

#include <utility>

#include "server/calls/grpc_status.h"
#include "server/models/model_conversion.h"

namespace ddgan {

std::shared_ptr<WatchModelsReactor> WatchModelsReactor::Create(
    Engine* engine, const WriteWatch::Parts& writes,
    grpc::CallbackServerContext* context, OnEnd on_end) {
  return std::shared_ptr<WatchModelsReactor>(
      new WatchModelsReactor(engine, writes, context, std::move(on_end)));
}

void WatchModelsReactor::Start() {
  {
    absl::MutexLock lock(&mu_);
    held_for_grpc_ = shared_from_this();
  }
  watch_ = engine_->WatchModels([this] { HandleChange(); });
  Advance();
}

void WatchModelsReactor::End(absl::Status status) {
  {
    absl::MutexLock lock(&mu_);
    if (!end_.has_value()) end_ = std::move(status);
  }
  Advance();
}

void WatchModelsReactor::OnWriteDone(bool ok) {
  writes_.End();
  {
    absl::MutexLock lock(&mu_);
    busy_ = false;
    // The connection is gone, and gRPC cancels the call as well.
    if (!ok && !end_.has_value()) end_ = absl::CancelledError("cancelled");
  }
  Advance();
}

void WatchModelsReactor::OnCancel() { End(absl::CancelledError("cancelled")); }

void WatchModelsReactor::OnDone() {
  // Never on a thread that is in the listener: gRPC calls this from its own.
  watch_.reset();
  writes_.LetGo();
  std::shared_ptr<WatchModelsReactor> self;
  absl::MutexLock lock(&mu_);
  self.swap(held_for_grpc_);
}

void WatchModelsReactor::HandleChange() {
  {
    absl::MutexLock lock(&mu_);
    stale_ = true;
  }
  Advance();
}

void WatchModelsReactor::Advance() {
  absl::Status end;
  int64_t bytes_written;
  {
    absl::MutexLock lock(&mu_);
    if (busy_ || finished_) return;
    if (end_.has_value()) {
      finished_ = true;
      end = *end_;
    } else {
      if (std::exchange(stale_, false)) {
        queue_.Update(ConvertModelList(engine_->ListModels()));
      }
      std::optional<v1::WatchModelsResponse> next = queue_.Next();
      if (!next.has_value()) return;
      writing_ = *std::move(next);
      bytes_written_ += static_cast<int64_t>(writing_.ByteSizeLong());
      busy_ = true;
    }
    bytes_written = bytes_written_;
  }
  writes_.Begin();
  if (end.ok()) {
    StartWrite(&writing_);
  } else {
    on_end_(end, bytes_written);
    // After this line OnDone may have given up the last reference.
    Finish(ToGrpcStatus(end, context_));
  }
}

}  // namespace ddgan
