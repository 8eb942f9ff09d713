// A page on the loopback to try a server out with.
#ifndef DDGAN_CLIENT_PLAYGROUND_PLAYGROUND_H_
#define DDGAN_CLIENT_PLAYGROUND_PLAYGROUND_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/secure_channel.h"

namespace ddgan::playground {

struct PlaygroundOptions {
  // The server that makes the images.
  std::string address = "";
  ConnectionSecurity security = {};
  // Port of the page, on 127.0.0.1; 0 lets the system choose.
  int port = 0;
  // Calls for images at a time; one more is refused with 503. At least 1.
  int max_calls = 8;
  // Tabs that watch the server at a time; one more is refused with 503.
  int max_watchers = 16;
  // Between two tries to reach a server that is lost.
  absl::Duration pause = absl::Milliseconds(500);
};

// Serves the page from Start to destruction, which ends all calls. A tab that
// leaves, or that gives a call up, ends its call in the server, too.
class Playground {
 public:
  // Errors as of OpenChannel and ListenOn. Whether there is a server at the
  // address is not looked at: the page shows it.
  static absl::StatusOr<std::unique_ptr<Playground>> Start(
      const PlaygroundOptions& options);

  ~Playground();

  Playground(const Playground&) = delete;
  Playground& operator=(const Playground&) = delete;

  // The page's address, which is a secret: whoever has it can use the page.
  std::string url() const;

 private:
  class Service;

  explicit Playground(std::unique_ptr<Service> service);

  const std::unique_ptr<Service> service_;
};

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_PLAYGROUND_H_
