// The accept loop of a gRPC server. gRPC 1.51's own takes every connection that
// comes, and dies for ever when the process once runs out of file descriptors
// (CVE-2023-4785). This one has caps, says no by closing, and goes on.
#ifndef DDGAN_SERVER_CONNECTIONS_CONNECTION_ACCEPTOR_H_
#define DDGAN_SERVER_CONNECTIONS_CONNECTION_ACCEPTOR_H_

#include <grpcpp/server_builder.h>
#include <sys/socket.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "engine/base/listen_address.h"
#include "server/connections/connection_budget.h"
#include "server/connections/connection_observer.h"
#include "server/connections/peer_address.h"
#include "server/connections/receive_watch.h"

namespace ddgan {

// Thread-safe once started.
//
// Two threads: one accepts and hands over, one watches what is open. gRPC reads
// a new connection on the thread that hands it over, for as long as the peer
// sends without a pause, so that thread may be held up; whoever holds it up is
// cut by the other.
//
// gRPC owns the descriptors that it is handed and tells nobody when it closes
// one, so the acceptor keeps a duplicate of each. gRPC always shuts a socket
// down before it closes it, which the duplicate shows as a hang-up; that frees
// the connection's place. The price is a second descriptor per connection.
class ConnectionAcceptor {
 public:
  using Handler = grpc::experimental::ExternalConnectionAcceptor;

  struct Options {
    ConnectionBudget::Limits limits;
    ReceiveWatch::Limits receive = {};
    // A connection whose peer takes nothing of what was sent for so long is cut
    // by the kernel (TCP_USER_TIMEOUT). Whole milliseconds, more than 0.
    absl::Duration send_timeout = absl::Minutes(1);
    // A connection that is not handed over by then is cut: that takes less than
    // a millisecond, unless its peer holds it up. More than 0.
    absl::Duration hand_over_limit = absl::Milliseconds(200);
    // Whether connections begin with a TLS handshake, which Probe looks for.
    bool tls = false;
  };

  // Binds and listens on all addresses that the host has; a connection waits
  // until Start. `metrics` must outlive the acceptor; if it is null, nothing is
  // counted.
  //   FailedPrecondition, PermissionDenied, InvalidArgument  as CheckCanListen
  static absl::StatusOr<std::unique_ptr<ConnectionAcceptor>> Listen(
      const ListenAddress& address, const Options& options,
      ConnectionObserver* metrics);

  ConnectionAcceptor(const ConnectionAcceptor&) = delete;
  ConnectionAcceptor& operator=(const ConnectionAcceptor&) = delete;

  // Connections of a server that still runs stay open, uncounted.
  ~ConnectionAcceptor();

  // The port that is listened on, also where port 0 was asked for.
  int port() const { return port_; }

  // Once. Hands connections to `handler`'s server, which has been started, from
  // a thread of its own.
  void Start(std::unique_ptr<Handler> handler);

  // Takes what waits, for some seconds at most, and closes the port; no
  // connection is handed over once this has returned. To be called before the
  // server is shut down. Connections that are open stay, and stay counted.
  void StopAccepting() ABSL_LOCKS_EXCLUDED(mu_);

  // A call has begun on `peer`'s connection, or a request has come in whole. A
  // connection that sends on and on without is cut (receive_watch.h).
  void Progress(const PeerEndpoint& peer) ABSL_LOCKS_EXCLUDED(mu_);

  // Ends `peer`'s connection at once, as if its network had failed. Whether
  // there was one.
  bool Cut(const PeerEndpoint& peer) ABSL_LOCKS_EXCLUDED(mu_);
  // All of them.
  void CutAll() ABSL_LOCKS_EXCLUDED(mu_);

  // ProbeGrpcListener or ProbeTlsListener of this port, by a connection that no
  // cap refuses. One that was not answered in time is OK, too, if others that
  // held up the accepting thread were cut meanwhile: the port works.
  absl::Status Probe(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  int open_connections() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Connection {
    int duplicate = -1;
    PeerEndpoint peer;
    std::string group;  // Empty: a probe, which is not in the budget.
  };

  // The one whose hand-over has begun and not ended.
  struct HandOver {
    uint64_t id = 0;
    absl::Time begun;  // Of RealMonotonicClock.
    bool cut = false;
  };

  ConnectionAcceptor(ListenAddress address, const Options& options,
                     ConnectionObserver* metrics);

  absl::Status Bind();
  void Accept();  // The threads.
  void Watch();
  // Forgets those that have hung up, or waits so many milliseconds for one that
  // does; -1: for ever.
  void ForgetClosed(int timeout_ms) ABSL_LOCKS_EXCLUDED(mu_);
  // These on the accepting thread. AcceptFrom takes a turn's connections;
  // whether more may wait. TakeBacklog takes all that wait.
  bool AcceptFrom(int listener);
  void TakeBacklog(int listener);
  void Take(int socket, const sockaddr_storage& address);
  // Accepts one connection with the descriptor that is kept for this, and
  // closes it. False if there was none to accept.
  bool ShedOne(int listener);
  void CountRefused(ConnectionRefusal reason) const;
  void Forget(uint64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  // Cuts those that have sent too much, or hold up the accepting thread. In how
  // many milliseconds to look again; -1: without connections.
  int Look() ABSL_LOCKS_EXCLUDED(mu_);
  bool IsHeldUp(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CutSender(const Connection& connection, const char* how)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CloseListeners();
  void KeepSpare();

  // Constant once listening.
  const ListenAddress address_;
  const Options options_;
  ConnectionObserver* const metrics_;
  int port_ = 0;
  int accept_epoll_ = -1;  // The listeners.
  int watch_epoll_ = -1;   // The connections.
  int accept_wake_ = -1;   // Eventfds.
  int watch_wake_ = -1;

  absl::Time next_look_ = absl::InfinitePast();  // The watching thread's.

  // Of the accepting thread once started.
  std::vector<int> listeners_;
  int spare_ = -1;
  uint64_t next_id_;
  std::unique_ptr<Handler> handler_;

  absl::Notification not_accepting_;

  mutable absl::Mutex mu_;
  bool accepting_ ABSL_GUARDED_BY(mu_) = true;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  bool watching_ ABSL_GUARDED_BY(mu_) = true;
  ConnectionBudget budget_ ABSL_GUARDED_BY(mu_);
  ReceiveWatch receive_watch_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, Connection> connections_ ABSL_GUARDED_BY(mu_);
  std::multimap<PeerEndpoint, uint64_t> ids_ ABSL_GUARDED_BY(mu_);
  std::multiset<int> probe_ports_ ABSL_GUARDED_BY(mu_);
  std::optional<HandOver> hand_over_ ABSL_GUARDED_BY(mu_);
  uint64_t hand_overs_cut_ ABSL_GUARDED_BY(mu_) = 0;

  std::thread accept_thread_;
  std::thread watch_thread_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_CONNECTION_ACCEPTOR_H_
