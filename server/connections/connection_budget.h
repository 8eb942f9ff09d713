// Which connections a server takes: so many in all, and so many from one peer.
// No sockets, no threads: the decisions of connection_acceptor.h.
#ifndef DDGAN_SERVER_CONNECTIONS_CONNECTION_BUDGET_H_
#define DDGAN_SERVER_CONNECTIONS_CONNECTION_BUDGET_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace ddgan {

// Why a connection is closed as soon as it has come in.
enum class ConnectionRefusal {
  kTotal,        // As many as there may be are open.
  kPeer,         // As many as one peer may have are open.
  kDescriptors,  // The process has no file descriptor left.
};

// Not thread-safe.
class ConnectionBudget {
 public:
  struct Limits {
    int total = 1;     // At least 1.
    int per_peer = 1;  // At least 1.
  };

  explicit ConnectionBudget(const Limits& limits) : limits_(limits) {}

  // Counts a connection of `peer` (PeerGroup), or says why it is not taken.
  std::optional<ConnectionRefusal> Admit(const std::string& peer);

  // A connection of `peer` that was admitted has closed.
  void Release(const std::string& peer);

  int open() const { return open_; }

 private:
  const Limits limits_;
  int open_ = 0;
  std::map<std::string, int> open_by_peer_;  // None of them is 0.
};

// `wanted`, or what a process can hold that may have `descriptor_limit`
// descriptors and uses `descriptors_in_use` for other things, of which it keeps
// some more free. A connection takes two descriptors. No less than 1 in all; a
// total that had to be lowered leaves at least half of it to other peers.
ConnectionBudget::Limits FitToDescriptors(
    const ConnectionBudget::Limits& wanted, int64_t descriptor_limit,
    int64_t descriptors_in_use);

// What to do after accept() failed with an errno.
enum class AcceptError {
  kNothingWaits,      // Wait for the next connection.
  kNextOne,           // This connection is lost, another may wait.
  kOutOfDescriptors,  // Close one to get rid of the connection.
  kPause,             // Out of memory or worse: try again in a while.
};
AcceptError ClassifyAcceptError(int error);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_CONNECTION_BUDGET_H_
