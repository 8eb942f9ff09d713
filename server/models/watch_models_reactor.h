// One WatchModels call in flight: writes what WatchQueue says, one event at a
// time, whenever the engine's models have changed.
#ifndef DDGAN_SERVER_MODELS_WATCH_MODELS_REACTOR_H_
#define DDGAN_SERVER_MODELS_WATCH_MODELS_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "ddgan/v1/model.pb.h"
#include "engine/api/engine.h"
#include "server/connections/write_watch.h"
#include "server/models/watch_queue.h"

namespace ddgan {

// Thread-safe. Keeps itself alive until gRPC is done with it, and listens to
// the engine until then.
//
// The models are looked up just before a write, so that whoever reads slowly
// gets them as they are once the write before has gone through.
class WatchModelsReactor final
    : public grpc::ServerWriteReactor<v1::WatchModelsResponse>,
      public std::enable_shared_from_this<WatchModelsReactor> {
 public:
  // Called once, when the call ends: how, and with how many bytes of messages.
  using OnEnd =
      absl::AnyInvocable<void(const absl::Status&, int64_t reply_bytes)>;

  // `context` is gRPC's, valid until OnDone; engine and `writes` must outlive
  // the reactor.
  static std::shared_ptr<WatchModelsReactor> Create(
      Engine* engine, const WriteWatch::Parts& writes,
      grpc::CallbackServerContext* context, OnEnd on_end);

  // Begins to listen and to write. Called once, before the reactor is handed to
  // gRPC.
  void Start() ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the call with `status`, which is not OK, once the write under way is
  // done. No effect on a call that is ending.
  void End(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // grpc::ServerWriteReactor, on a gRPC thread:
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnDone() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  WatchModelsReactor(Engine* engine, const WriteWatch::Parts& writes,
                     grpc::CallbackServerContext* context, OnEnd on_end)
      : engine_(engine),
        context_(context),
        writes_(writes, context),
        on_end_(std::move(on_end)) {}

  // The engine's listener.
  void HandleChange() ABSL_LOCKS_EXCLUDED(mu_);
  // After any change of the below: starts the write, or the end, that is next.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Engine* const engine_;
  grpc::CallbackServerContext* const context_;

  WriteWatch writes_;
  OnEnd on_end_;                       // For whoever finishes the call.
  std::unique_ptr<ModelWatch> watch_;  // From Start to OnDone.

  absl::Mutex mu_;
  // The same. Guarded, so that whoever lets go of the reactor last sees what
  // was done to it on any thread.
  std::shared_ptr<WatchModelsReactor> held_for_grpc_ ABSL_GUARDED_BY(mu_);
  WatchQueue queue_ ABSL_GUARDED_BY(mu_);
  bool stale_ ABSL_GUARDED_BY(mu_) = true;  // The queue; models have changed.
  bool busy_ ABSL_GUARDED_BY(mu_) = false;  // A write is under way.
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_written_ ABSL_GUARDED_BY(mu_) = 0;

  // gRPC reads it from StartWrite to OnWriteDone; in between it belongs to whom
  // the queue gives the next event.
  v1::WatchModelsResponse writing_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_MODELS_WATCH_MODELS_REACTOR_H_
