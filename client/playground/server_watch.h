// Keeps an eye on the server: which models there are, and whether it answers.
#ifndef DDGAN_CLIENT_PLAYGROUND_SERVER_WATCH_H_
#define DDGAN_CLIENT_PLAYGROUND_SERVER_WATCH_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <thread>

#include "absl/time/time.h"
#include "client/call_cancellation.h"
#include "client/image_client.h"
#include "client/playground/server_state.h"

namespace ddgan::playground {

// Watches from construction to destruction, on a thread of its own. When the
// server is lost, it is asked anew after `pause`, for as long as it takes.
class ServerWatch {
 public:
  // `on_change` is called on that thread with each new state. It is quick.
  ServerWatch(std::shared_ptr<grpc::Channel> channel, absl::Duration pause,
              std::function<void(const ServerState&)> on_change);
  ~ServerWatch();

  ServerWatch(const ServerWatch&) = delete;
  ServerWatch& operator=(const ServerWatch&) = delete;

 private:
  void Run();
  // Until something fails.
  absl::Status Follow(ServerState* state);

  const absl::Duration pause_;
  const std::function<void(const ServerState&)> on_change_;
  const std::shared_ptr<CallCancellation> cancellation_ =
      std::make_shared<CallCancellation>();
  const ImageClient client_;
  std::thread thread_;
};

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_SERVER_WATCH_H_
