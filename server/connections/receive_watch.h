// What connections send that comes to nothing. gRPC 1.51 keeps a block of
// headers until its end, and looks at the size of each frame alone: one
// connection could fill the memory (CVE-2023-33953).
#ifndef DDGAN_SERVER_CONNECTIONS_RECEIVE_WATCH_H_
#define DDGAN_SERVER_CONNECTIONS_RECEIVE_WATCH_H_

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"

namespace ddgan {

// Counts what each connection has sent since something last came of it: a call
// began, or a request was there whole. No sockets, no threads, no clock: the
// decisions of connection_acceptor.h. Not thread-safe.
class ReceiveWatch {
 public:
  // Bytes that may have come to nothing. Each at least 1.
  struct Limits {
    int64_t total = std::numeric_limits<int64_t>::max();
    // Of a PeerGroup's connections together.
    int64_t per_peer = std::numeric_limits<int64_t>::max();
  };

  explicit ReceiveWatch(const Limits& limits) : limits_(limits) {}

  // A new connection of `peer` (PeerGroup).
  void Add(uint64_t id, const std::string& peer);
  // It has closed. No effect if there is none.
  void Remove(uint64_t id);
  // Something came of what connection `id` has sent by the next Look. No effect
  // if there is none.
  void Progress(uint64_t id);

  // `received`: all that a connection has sent so far. Returns those to cut, by
  // which the others are within the limits: of a peer, and of all, whoever has
  // sent most. To be called several times a second, since what comes between
  // two looks is not bounded.
  std::vector<uint64_t> Look(absl::FunctionRef<int64_t(uint64_t id)> received);

 private:
  struct Connection {
    std::string peer;
    int64_t begin = 0;  // What it had sent when something last came of it.
    int64_t idle = 0;   // Since then, by the last look.
    bool progress = false;
  };

  const Limits limits_;
  std::map<uint64_t, Connection> connections_;
};

// All bytes that the peer of a TCP socket has sent so far, as far as the kernel
// has them. 0 if it does not say.
int64_t BytesReceived(int socket);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_RECEIVE_WATCH_H_
