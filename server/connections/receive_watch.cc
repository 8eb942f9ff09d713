#include "server/connections/receive_watch.h"

// Not netinet/tcp.h, whose tcp_info is older.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace ddgan {

void ReceiveWatch::Add(uint64_t id, const std::string& peer) {
  connections_[id].peer = peer;
}

void ReceiveWatch::Remove(uint64_t id) { connections_.erase(id); }

void ReceiveWatch::Progress(uint64_t id) {
  const auto found = connections_.find(id);
  if (found != connections_.end()) found->second.progress = true;
}

std::vector<uint64_t> ReceiveWatch::Look(
    absl::FunctionRef<int64_t(uint64_t id)> received) {
  int64_t total = 0;
  std::map<std::string, int64_t> by_peer;
  for (auto& [id, connection] : connections_) {
    const int64_t now = received(id);
    if (std::exchange(connection.progress, false)) connection.begin = now;
    connection.idle = now - connection.begin;
    total += connection.idle;
    by_peer[connection.peer] += connection.idle;
  }
  std::vector<std::pair<int64_t, uint64_t>> largest_first;
  for (const auto& [id, connection] : connections_) {
    if (connection.idle > 0) largest_first.emplace_back(connection.idle, id);
  }
  std::sort(largest_first.begin(), largest_first.end(), std::greater<>());
  std::vector<uint64_t> cut;
  const auto cut_while = [&](auto exceeds) {
    for (const auto& [idle, id] : largest_first) {
      const auto found = connections_.find(id);
      if (found == connections_.end() || !exceeds(found->second)) continue;
      total -= idle;
      by_peer[found->second.peer] -= idle;
      cut.push_back(id);
      connections_.erase(found);
    }
  };
  cut_while([&](const Connection& connection) {
    return by_peer[connection.peer] > limits_.per_peer;
  });
  cut_while([&](const Connection&) { return total > limits_.total; });
  return cut;
}

int64_t BytesReceived(int socket) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return static_cast<int64_t>(info.tcpi_bytes_received);
}

}  // namespace ddgan
