// Sees to it that what a call writes is taken in time. gRPC keeps a reply, or a
// message of a stream, until its caller has read enough for the rest to fit
// into the socket; a caller that does not read would have it kept for ever.
#ifndef DDGAN_SERVER_CONNECTIONS_WRITE_WATCH_H_
#define DDGAN_SERVER_CONNECTIONS_WRITE_WATCH_H_

#include <grpcpp/server_context.h>

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "server/connections/connection_observer.h"
#include "server/connections/deadline_timer.h"
#include "server/connections/peer_address.h"

namespace ddgan {

// Thread-safe. One per call, from its start to OnDone.
//
// A write that takes longer than the timeout has its call cancelled, with
// DEADLINE_EXCEEDED for the caller if that can still be sent. gRPC then lets go
// of the write, unless the connection itself takes no bytes: it waits for the
// socket, which keeps what is on its way for all of the connection's calls. So
// if the write has not ended kLetGoTime after that, the connection is cut.
class WriteWatch {
 public:
  static constexpr absl::Duration kLetGoTime = absl::Seconds(5);

  // What all calls share; each must outlive every watch.
  struct Parts {
    DeadlineTimer* timer = nullptr;
    ConnectionObserver* metrics = nullptr;
    absl::Duration timeout = absl::InfiniteDuration();
    // Ends a peer's connection; on the timer's thread.
    std::function<void(const PeerEndpoint&)> cut;
  };

  WriteWatch(const Parts& parts, grpc::CallbackServerContext* context);
  // As LetGo.
  ~WriteWatch();

  WriteWatch(const WriteWatch&) = delete;
  WriteWatch& operator=(const WriteWatch&) = delete;

  // A write, or the end of the call, is about to be handed to gRPC. One at a
  // time.
  void Begin();
  // It has been written, or never will be.
  void End();

  // The context is no longer valid: the call is over for gRPC.
  void LetGo();

  // Whether the call was cancelled because a write took too long.
  bool timed_out() const;

 private:
  class State;

  const std::shared_ptr<State> state_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_WRITE_WATCH_H_
