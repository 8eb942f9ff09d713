// Who may send a request now. gRPC keeps what has come of a request until the
// rest has, and once it begins to receive a message it lets the peer send all
// of it. So a request is received only when it is its turn: until then gRPC
// takes one HTTP/2 window of it (64 KiB) and no more.
#ifndef DDGAN_SERVER_CONNECTIONS_REQUEST_GATE_H_
#define DDGAN_SERVER_CONNECTIONS_REQUEST_GATE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/connections/connection_observer.h"
#include "server/connections/deadline_timer.h"

namespace ddgan {

// Thread-safe. Counts by group (PeerGroup): of what is being received, and of
// what waits, a group may have no more than what stays free for others. So one
// address takes half, and whoever else comes finds a place. The group that
// receives least is next.
class RequestGate {
 public:
  struct Limits {
    // Requests that are being received at a time. [1, 100000]
    int arriving = 64;
    // From the beginning of a request to its last byte, waiting included.
    // [100 ms, 1 h]
    absl::Duration timeout = absl::Seconds(30);
  };
  // So many wait for each that is being received. A client may open all its
  // streams at once.
  static constexpr int kWaitingPerArriving = 16;

  // What wants to be received. The methods are called without a lock, on the
  // thread that made the room, or on the timer's; they return quickly.
  class Request {
   public:
    virtual ~Request() = default;

    // Its turn: it is received from now on, until Leave. At most once.
    virtual void Receive() = 0;
    // It never gets a turn. At most once, and then never Receive.
    //   DeadlineExceeded  the timeout
    //   Unavailable       no room to wait, which may pass in a moment; or Close
    virtual void Refuse(const absl::Status& status) = 0;
    // DeadlineExceeded: it is being received for too long, and is to Leave. It
    // may have left just now, or be about to Receive. Again after each further
    // timeout until it leaves, so that one that came too early is not the last.
    virtual void GiveUp(const absl::Status& status) = 0;

   private:
    friend class RequestGate;
    uint64_t id_ = 0;  // Of the gate, from Enter on.
  };

  // `timer` and `observer` must outlive the gate.
  RequestGate(const Limits& limits, DeadlineTimer* timer,
              ConnectionObserver* observer);

  RequestGate(const RequestGate&) = delete;
  RequestGate& operator=(const RequestGate&) = delete;

  // Once no request is inside.
  ~RequestGate();

  // Has `request` received or refused, now or later. Again after Leave at the
  // earliest.
  void Enter(const std::string& group, std::shared_ptr<Request> request)
      ABSL_LOCKS_EXCLUDED(mu_);

  // `request` was being received; it is here, or never will be.
  void Leave(const Request& request) ABSL_LOCKS_EXCLUDED(mu_);

  // Refuses whoever waits, and whoever comes, with Unavailable.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Group {
    int arriving = 0;
    std::deque<uint64_t> waiting;
  };
  struct Place {
    std::shared_ptr<Request> request;
    std::string group;
    bool arriving = false;
    bool timed_out = false;
    DeadlineTimer::Key timeout;
  };

  void HandleTimeout(uint64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  // Those whose turn it has become.
  std::vector<std::shared_ptr<Request>> TakeTurns()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Forget(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Limits limits_;
  DeadlineTimer* const timer_;
  ConnectionObserver* const observer_;

  absl::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  int arriving_ ABSL_GUARDED_BY(mu_) = 0;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, Place> places_ ABSL_GUARDED_BY(mu_);
  // None of them is empty.
  std::map<std::string, Group> groups_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_REQUEST_GATE_H_
