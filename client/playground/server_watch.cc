#include "client/playground/server_watch.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan::playground {
namespace {

// A server that takes longer to list its models is as good as lost.
constexpr absl::Duration kListTimeout = absl::Seconds(5);

ImageClient::Options ClientOptions(
    std::shared_ptr<CallCancellation> cancellation) {
  ImageClient::Options options;
  options.timeout = kListTimeout;
  // Each failure is shown.
  options.retry.max_attempts = 1;
  options.cancellation = std::move(cancellation);
  return options;
}

}  // namespace

ServerWatch::ServerWatch(std::shared_ptr<grpc::Channel> channel,
                         absl::Duration pause,
                         std::function<void(const ServerState&)> on_change)
    : pause_(pause),
      on_change_(std::move(on_change)),
      client_(std::move(channel), ClientOptions(cancellation_)),
      thread_([this] { Run(); }) {}

ServerWatch::~ServerWatch() {
  cancellation_->Cancel();
  thread_.join();
}

absl::Status ServerWatch::Follow(ServerState* state) {
  const absl::StatusOr<v1::ListModelsResponse> models = client_.ListModels();
  if (!models.ok()) return models.status();
  TakeModels(*models, state);
  on_change_(*state);
  return client_.WatchModels(absl::InfiniteDuration(),
                             [&](const v1::WatchModelsResponse& change) {
                               if (TakeChange(change, state)) {
                                 on_change_(*state);
                               }
                               return true;
                             });
}

void ServerWatch::Run() {
  ServerState state;
  while (!cancellation_->cancelled()) {
    const absl::Status failure = Follow(&state);
    if (cancellation_->cancelled()) return;
    if (TakeFailure(failure, &state)) on_change_(state);
    cancellation_->SleepUnlessCancelled(pause_);
  }
}

}  // namespace ddgan::playground
