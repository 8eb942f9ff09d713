#include "server/connections/connection_acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/base/monotonic_clock.h"
#include "server/connections/listener_probe.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// What an epoll event is about: the wake-up, a listener by its place, or from
// kFirstId on a connection.
constexpr uint64_t kWakeId = 0;
constexpr uint64_t kFirstListenerId = 1;
constexpr uint64_t kFirstId = 1 << 10;

// Connections taken from one listener before anything else gets its turn.
constexpr int kAcceptsPerTurn = 64;

constexpr absl::Duration kPause = absl::Milliseconds(100);

// What the kernel buffers for a connection beyond what is on its way. A slow
// reader's bytes are better kept where the ledger counts them.
constexpr int kUnsentBytes = 128 << 10;

// Descriptors that connections leave to everything else: scrapes, probes, and
// versions that are loaded.
constexpr rlim_t kDescriptorsForOthers = 16;

// How often the watching thread looks.
constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

// Who has sent less does not hold up its hand-over; the machine does.
constexpr int64_t kHeldUpBytes = 64 << 10;

// How long a stop takes connections that wait.
constexpr absl::Duration kBacklogTime = absl::Seconds(2);

constexpr int kBacklog = 4096;  // The system may have a lower limit.

void SetOption(int socket, int level, int name, int value) {
  setsockopt(socket, level, name, &value, sizeof(value));
}

// Of an eventfd.
void Wake(int descriptor) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = write(descriptor, &one, sizeof(one));
}

void Drain(int descriptor) {
  uint64_t ignored;
  [[maybe_unused]] const ssize_t size =
      read(descriptor, &ignored, sizeof(ignored));
}

// Whether so few descriptors are left that connections get none: the system
// gives out the smallest that is free.
bool IsAmongTheLast(int descriptor) {
  rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
         static_cast<rlim_t>(descriptor) + kDescriptorsForOthers >=
             limit.rlim_cur;
}

// Whether both ends of the connection are this machine's.
bool IsFromThisMachine(int socket, const PeerEndpoint& peer) {
  sockaddr_storage local = {};
  socklen_t size = sizeof(local);
  return getsockname(socket, reinterpret_cast<sockaddr*>(&local), &size) == 0 &&
         EndpointOf(local).host == peer.host;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ConnectionAcceptor>> ConnectionAcceptor::Listen(
    const ListenAddress& address, const Options& options,
    ConnectionObserver* metrics) {
  std::unique_ptr<ConnectionAcceptor> acceptor(
      new ConnectionAcceptor(address, options, metrics));
  if (absl::Status status = acceptor->Bind(); !status.ok()) return status;
  return acceptor;
}

ConnectionAcceptor::ConnectionAcceptor(ListenAddress address,
                                       const Options& options,
                                       ConnectionObserver* metrics)
    : address_(std::move(address)),
      options_(options),
      metrics_(metrics),
      next_id_(kFirstId),
      budget_(options.limits),
      receive_watch_(options.receive) {}

ConnectionAcceptor::~ConnectionAcceptor() {
  if (accept_thread_.joinable()) {
    {
      absl::MutexLock lock(&mu_);
      accepting_ = false;
      ending_ = true;
    }
    Wake(accept_wake_);
    accept_thread_.join();  // While somebody watches whoever holds it up.
    {
      absl::MutexLock lock(&mu_);
      watching_ = false;
    }
    Wake(watch_wake_);
    watch_thread_.join();
  }
  CloseListeners();
  for (const auto& [id, connection] : connections_) close(connection.duplicate);
  for (int descriptor :
       {spare_, accept_wake_, watch_wake_, accept_epoll_, watch_epoll_}) {
    if (descriptor >= 0) close(descriptor);
  }
}

absl::Status ConnectionAcceptor::Bind() {
  absl::StatusOr<std::vector<int>> listeners =
      ListenOn(address_, kBacklog, &port_);
  if (!listeners.ok()) return listeners.status();
  listeners_ = *std::move(listeners);
  KeepSpare();
  bool complete = spare_ >= 0;
  for (int* epoll : {&accept_epoll_, &watch_epoll_}) {
    *epoll = epoll_create1(EPOLL_CLOEXEC);
    complete = complete && *epoll >= 0;
  }
  for (int* wake : {&accept_wake_, &watch_wake_}) {
    *wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    complete = complete && *wake >= 0;
  }
  if (!complete) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no descriptor left to listen with: ", strerror(errno)));
  }
  for (int listener : listeners_) {
    // A connection inherits these.
    SetOption(listener, IPPROTO_TCP, TCP_NODELAY, 1);
    SetOption(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytes);
    SetOption(
        listener, IPPROTO_TCP, TCP_USER_TIMEOUT,
        static_cast<int>(absl::ToInt64Milliseconds(options_.send_timeout)));
  }
  return absl::OkStatus();
}

void ConnectionAcceptor::Start(std::unique_ptr<Handler> handler) {
  handler_ = std::move(handler);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  epoll_ctl(accept_epoll_, EPOLL_CTL_ADD, accept_wake_, &event);
  epoll_ctl(watch_epoll_, EPOLL_CTL_ADD, watch_wake_, &event);
  for (size_t i = 0; i < listeners_.size(); ++i) {
    event.data.u64 = kFirstListenerId + i;
    epoll_ctl(accept_epoll_, EPOLL_CTL_ADD, listeners_[i], &event);
  }
  accept_thread_ = std::thread([this] { Accept(); });
  watch_thread_ = std::thread([this] { Watch(); });
}

void ConnectionAcceptor::StopAccepting() {
  if (!accept_thread_.joinable()) return;
  {
    absl::MutexLock lock(&mu_);
    accepting_ = false;
  }
  Wake(accept_wake_);
  not_accepting_.WaitForNotification();
}

void ConnectionAcceptor::Progress(const PeerEndpoint& peer) {
  absl::MutexLock lock(&mu_);
  const auto [first, last] = ids_.equal_range(peer);
  for (auto it = first; it != last; ++it) receive_watch_.Progress(it->second);
}

bool ConnectionAcceptor::Cut(const PeerEndpoint& peer) {
  absl::MutexLock lock(&mu_);
  const auto [first, last] = ids_.equal_range(peer);
  for (auto it = first; it != last; ++it) {
    shutdown(connections_.at(it->second).duplicate, SHUT_RDWR);
  }
  return first != last;
}

void ConnectionAcceptor::CutAll() {
  absl::MutexLock lock(&mu_);
  for (const auto& [id, connection] : connections_) {
    shutdown(connection.duplicate, SHUT_RDWR);
  }
}

absl::Status ConnectionAcceptor::Probe(absl::Duration timeout) {
  std::optional<int> announced;
  uint64_t cut_before;
  {
    absl::MutexLock lock(&mu_);
    cut_before = hand_overs_cut_;
  }
  const auto announce = [this, &announced](int source_port) {
    absl::MutexLock lock(&mu_);
    if (announced.has_value()) {
      probe_ports_.erase(probe_ports_.find(*announced));
    }
    probe_ports_.insert(source_port);
    announced = source_port;
  };
  const ListenAddress address = {.host = address_.host, .port = port_};
  const absl::Status status =
      options_.tls ? ProbeTlsListener(address, timeout, announce)
                   : ProbeGrpcListener(address, timeout, announce);
  absl::MutexLock lock(&mu_);
  if (announced.has_value()) probe_ports_.erase(probe_ports_.find(*announced));
  // Who holds the port up does not get it restarted.
  if (absl::IsDeadlineExceeded(status) && hand_overs_cut_ > cut_before) {
    return absl::OkStatus();
  }
  return status;
}

int ConnectionAcceptor::open_connections() const {
  absl::MutexLock lock(&mu_);
  return budget_.open();
}

void ConnectionAcceptor::Accept() {
  std::array<epoll_event, 16> events;
  while (true) {
    const int count =
        epoll_wait(accept_epoll_, events.data(), events.size(), -1);
    Drain(accept_wake_);  // Before it sees why it was woken.
    bool accepting;
    bool ending;
    {
      absl::MutexLock lock(&mu_);
      accepting = accepting_;
      ending = ending_;
    }
    if (!accepting && !not_accepting_.HasBeenNotified()) {
      // The kernel has told their peers that they are through. Not at the end:
      // there may be no server any more.
      if (!ending) {
        for (const int listener : listeners_) TakeBacklog(listener);
      }
      CloseListeners();
      not_accepting_.Notify();
    }
    if (ending) return;
    for (int i = 0; i < count; ++i) {
      const uint64_t id = events[i].data.u64;
      if (id != kWakeId && accepting) {
        ForgetClosed(0);  // So that places which have just become free are.
        AcceptFrom(listeners_[id - kFirstListenerId]);
      }
    }
  }
}

void ConnectionAcceptor::Watch() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (!watching_) return;
    }
    ForgetClosed(Look());
    Drain(watch_wake_);
  }
}

void ConnectionAcceptor::ForgetClosed(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int count =
      epoll_wait(watch_epoll_, events.data(), events.size(), timeout_ms);
  for (int i = 0; i < count; ++i) {
    const uint64_t id = events[i].data.u64;
    if (id != kWakeId) Forget(id);
  }
}

void ConnectionAcceptor::TakeBacklog(int listener) {
  const absl::Time end = RealMonotonicClock()->Now() + kBacklogTime;
  for (int taken = 0; taken < kBacklog; taken += kAcceptsPerTurn) {
    if (!AcceptFrom(listener) || RealMonotonicClock()->Now() >= end) return;
  }
}

bool ConnectionAcceptor::AcceptFrom(int listener) {
  if (spare_ < 0) KeepSpare();
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    const int socket = accept4(listener, reinterpret_cast<sockaddr*>(&address),
                               &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      Take(socket, address);
      continue;
    }
    const int error = errno;
    switch (ClassifyAcceptError(error)) {
      case AcceptError::kNothingWaits:
        return false;
      case AcceptError::kNextOne:
        continue;
      case AcceptError::kOutOfDescriptors:
        if (spare_ < 0) break;
        if (ShedOne(listener)) continue;
        return false;
      case AcceptError::kPause:
        break;
    }
    spdlog::warn("cannot accept a connection: {}", strerror(error));
    absl::SleepFor(kPause);
    return false;
  }
  return true;
}

void ConnectionAcceptor::Take(int socket, const sockaddr_storage& address) {
  Connection connection;
  connection.peer = EndpointOf(address);
  std::optional<ConnectionRefusal> refusal;
  {
    absl::MutexLock lock(&mu_);
    const bool is_probe = probe_ports_.contains(connection.peer.port) &&
                          IsFromThisMachine(socket, connection.peer);
    if (!is_probe) {
      connection.group = PeerGroup(connection.peer.host);
      refusal = budget_.Admit(connection.group);
    }
  }
  if (!refusal.has_value()) {
    connection.duplicate = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    const bool is_probe = connection.group.empty();
    if (connection.duplicate < 0 ||
        (!is_probe && IsAmongTheLast(connection.duplicate))) {
      refusal = ConnectionRefusal::kDescriptors;
      if (connection.duplicate >= 0) close(connection.duplicate);
      absl::MutexLock lock(&mu_);
      if (!is_probe) budget_.Release(connection.group);
    }
  }
  if (refusal.has_value()) {
    CountRefused(*refusal);
    close(socket);
    return;
  }
  const uint64_t id = next_id_++;
  epoll_event event = {};  // A hang-up is reported unasked.
  event.data.u64 = id;
  {
    absl::MutexLock lock(&mu_);
    // It fails only without kernel memory. The connection is then counted until
    // the acceptor ends, which is the safe side.
    epoll_ctl(watch_epoll_, EPOLL_CTL_ADD, connection.duplicate, &event);
    ids_.emplace(connection.peer, id);
    receive_watch_.Add(id, connection.group);
    connections_.emplace(id, std::move(connection));
    hand_over_ = {.id = id, .begun = RealMonotonicClock()->Now()};
    if (connections_.size() == 1) Wake(watch_wake_);
    if (metrics_ != nullptr) metrics_->OnConnections(budget_.open());
  }
  Handler::NewConnectionParameters handed;
  handed.fd = socket;
  handler_->HandleNewConnection(&handed);
  absl::MutexLock lock(&mu_);
  hand_over_.reset();
}

bool ConnectionAcceptor::ShedOne(int listener) {
  close(spare_);
  const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket >= 0) {
    CountRefused(ConnectionRefusal::kDescriptors);
    close(socket);
  }
  KeepSpare();
  return socket >= 0;
}

void ConnectionAcceptor::CountRefused(ConnectionRefusal reason) const {
  if (metrics_ != nullptr) metrics_->OnConnectionRefused(reason);
}

void ConnectionAcceptor::Forget(uint64_t id) {
  absl::MutexLock lock(&mu_);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const Connection& connection = found->second;
  // By name: to close a duplicate takes it out of the set only once gRPC has
  // closed its descriptor, too.
  epoll_ctl(watch_epoll_, EPOLL_CTL_DEL, connection.duplicate, nullptr);
  close(connection.duplicate);
  const auto [first, last] = ids_.equal_range(connection.peer);
  for (auto it = first; it != last; ++it) {
    if (it->second == id) {
      ids_.erase(it);
      break;
    }
  }
  if (!connection.group.empty()) budget_.Release(connection.group);
  receive_watch_.Remove(id);
  connections_.erase(found);
  if (metrics_ != nullptr) metrics_->OnConnections(budget_.open());
}

int ConnectionAcceptor::Look() {
  const absl::Time now = RealMonotonicClock()->Now();
  absl::MutexLock lock(&mu_);
  if (connections_.empty()) return -1;
  if (now >= next_look_) {
    next_look_ = now + kLookInterval;
    for (const uint64_t id : receive_watch_.Look([this](uint64_t id) {
           mu_.AssertHeld();
           return BytesReceived(connections_.at(id).duplicate);
         })) {
      if (hand_over_.has_value() && hand_over_->id == id) {
        hand_over_->cut = true;
        ++hand_overs_cut_;
      }
      CutSender(connections_.at(id), "of which no call came");
    }
    if (IsHeldUp(now)) {
      hand_over_->cut = true;
      ++hand_overs_cut_;
      CutSender(connections_.at(hand_over_->id),
                "without a pause, as it connected");
    }
  }
  return static_cast<int>(absl::ToInt64Milliseconds(kLookInterval));
}

bool ConnectionAcceptor::IsHeldUp(absl::Time now) const {
  if (!hand_over_.has_value() || hand_over_->cut) return false;
  // A stop does not wait for whoever wants to hold it up.
  const absl::Duration limit =
      accepting_ ? options_.hand_over_limit : absl::ZeroDuration();
  if (now - hand_over_->begun < limit) return false;
  const auto found = connections_.find(hand_over_->id);
  return found != connections_.end() &&
         BytesReceived(found->second.duplicate) >= kHeldUpBytes;
}

void ConnectionAcceptor::CutSender(const Connection& connection,
                                   const char* how) {
  spdlog::warn("{} has sent too much {}: cut", connection.peer.host, how);
  if (metrics_ != nullptr)
    metrics_->OnRequestNotReceived(RequestLoss::kTooMuch);
  shutdown(connection.duplicate, SHUT_RDWR);
}

void ConnectionAcceptor::CloseListeners() {
  for (int listener : listeners_) close(listener);
  listeners_.clear();
}

void ConnectionAcceptor::KeepSpare() {
  spare_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace ddgan
