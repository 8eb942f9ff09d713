#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "trainer/distributed/c10d_backends.h"
#include "trainer/distributed/c10d_errors.h"

namespace ddgan {
namespace {

// More ranks than this are counted, not listed.
constexpr size_t kMaxListedRanks = 16;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

std::string Master(const ProcessEnvironment& environment) {
  return absl::StrCat("MASTER_ADDR=", environment.master_address,
                      " MASTER_PORT=", environment.master_port);
}

absl::StatusOr<Addresses> Resolve(const ProcessEnvironment& environment,
                                  int socket_type) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = socket_type;
  addrinfo* list = nullptr;
  const int error =
      getaddrinfo(environment.master_address.c_str(),
                  absl::StrCat(environment.master_port).c_str(), &hints, &list);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("process group: MASTER_ADDR=", environment.master_address,
                     " has no address: ", gai_strerror(error)));
  }
  return Addresses(list);
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(ipv4->sin_addr.s_addr) >> 24 == 127;
  }
  if (address->sa_family == AF_INET6) {
    const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
  }
  return false;
}

// A socket that is bound to the master's port on loopback, or -1 if the
// master's address is no loopback address, or not yet known: a name that
// Kubernetes publishes with its pod may take a while.
absl::StatusOr<int> BindLoopback(const ProcessEnvironment& environment) {
  absl::StatusOr<Addresses> addresses = Resolve(environment, SOCK_STREAM);
  if (!addresses.ok()) return -1;
  const addrinfo* first = addresses->get();
  if (!IsLoopback(first->ai_addr)) return -1;
  const int fd = socket(first->ai_family, first->ai_socktype | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd, first->ai_addr, first->ai_addrlen) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return absl::UnavailableError(
        absl::StrCat("process group: rank 0 cannot listen at ",
                     Master(environment), ": ", std::strerror(error)));
  }
  return fd;
}

// A UDP socket that is "connected" sends nothing, but has been routed.
absl::StatusOr<std::string> AddressTowardsMaster(
    const ProcessEnvironment& environment) {
  absl::StatusOr<Addresses> addresses = Resolve(environment, SOCK_DGRAM);
  if (!addresses.ok()) return addresses.status();
  int error = 0;
  for (const addrinfo* entry = addresses->get(); entry != nullptr;
       entry = entry->ai_next) {
    const int fd = socket(entry->ai_family, entry->ai_socktype, 0);
    if (fd < 0) {
      error = errno;
      continue;
    }
    const absl::Cleanup close_fd = [fd] { close(fd); };
    sockaddr_storage local = {};
    socklen_t size = sizeof(local);
    char name[NI_MAXHOST];
    if (connect(fd, entry->ai_addr, entry->ai_addrlen) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) {
      error = errno;
      continue;
    }
    if (getnameinfo(reinterpret_cast<sockaddr*>(&local), size, name,
                    sizeof(name), nullptr, 0, NI_NUMERICHOST) == 0) {
      return std::string(name);
    }
  }
  return absl::UnavailableError(
      absl::StrCat("process group: no network interface reaches MASTER_ADDR=",
                   environment.master_address, ": ", std::strerror(error)));
}

std::string JoinedKey(int rank) { return absl::StrCat("joined/", rank); }

// Whether this process and those that came before make one run.
absl::Status CheckFits(c10d::Store& store,
                       const ProcessEnvironment& environment) {
  const std::string size = absl::StrCat(environment.size);
  if (environment.rank == 0) {
    store.set("size", std::vector<uint8_t>(size.begin(), size.end()));
  }
  // Waits for rank 0 to have said it.
  const std::vector<uint8_t> value = store.get("size");
  const std::string expected(value.begin(), value.end());
  if (size != expected) {
    return absl::InvalidArgumentError(absl::StrCat(
        "process group: rank ", environment.rank, " was told of ", size,
        " processes, rank 0 of ", expected, ": they must be told the same"));
  }
  if (store.add(JoinedKey(environment.rank), 1) > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("process group: two processes claim to be rank ",
                     environment.rank, " of ", size, " at ",
                     Master(environment), ": each rank must be given once"));
  }
  return absl::OkStatus();
}

// Which processes have not joined yet, e.g. "rank 2 and rank 3".
std::string Missing(c10d::Store& store, int size) {
  std::vector<std::string> missing;
  for (int rank = 0; rank < size; ++rank) {
    if (!store.check({JoinedKey(rank)})) {
      missing.push_back(absl::StrCat("rank ", rank));
    }
  }
  const size_t count = missing.size();
  if (count > kMaxListedRanks) {
    missing.resize(kMaxListedRanks);
    missing.push_back(absl::StrCat(count - kMaxListedRanks, " more"));
  }
  return absl::StrJoin(missing, ", ");
}

}  // namespace

absl::StatusOr<Rendezvous> Meet(const ProcessEnvironment& environment,
                                absl::Duration timeout) {
  // The store's own waits are in real time, so this deadline is as well.
  const auto deadline =
      std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(environment.master_port);
  options.isServer = environment.rank == 0;
  options.numWorkers = environment.size;
  // Waiting is done below, where it can be said who is missing.
  options.waitWorkers = false;
  options.timeout = absl::ToChronoMilliseconds(timeout);
  if (options.isServer) {
    absl::StatusOr<int> fd = BindLoopback(environment);
    if (!fd.ok()) return fd.status();
    if (*fd >= 0) options.masterListenFd = *fd;
  }
  Rendezvous rendezvous;
  try {
    rendezvous.store = c10::make_intrusive<c10d::TCPStore>(
        environment.master_address, options);
  } catch (const std::exception& e) {
    if (options.isServer) {
      return absl::UnavailableError(
          absl::StrCat("process group: rank 0 cannot listen at ",
                       Master(environment), ": ", FirstLine(e.what())));
    }
    return absl::DeadlineExceededError(absl::StrCat(
        "process group: rank 0 is missing: rank ", environment.rank,
        " did not reach it at ", Master(environment), " within ",
        absl::FormatDuration(timeout), ": ", FirstLine(e.what())));
  }
  try {
    absl::Status fits = CheckFits(*rendezvous.store, environment);
    if (!fits.ok()) return fits;
    std::vector<std::string> keys;
    for (int rank = 0; rank < environment.size; ++rank) {
      keys.push_back(JoinedKey(rank));
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    try {
      // 0 would mean for ever.
      rendezvous.store->wait(keys,
                             std::max(left, std::chrono::milliseconds(1)));
    } catch (const c10::DistStoreError&) {
      const std::string missing = Missing(*rendezvous.store, environment.size);
      if (missing.empty()) throw;
      return absl::DeadlineExceededError(
          absl::StrCat("process group: ", missing, " of ", environment.size,
                       " processes did not join at ", Master(environment),
                       " within ", absl::FormatDuration(timeout)));
    }
  } catch (const std::exception& e) {
    return absl::UnavailableError(
        absl::StrCat("process group: rank 0 at ", Master(environment),
                     " left while others were joining: ", FirstLine(e.what())));
  }
  absl::StatusOr<std::string> local_address = AddressTowardsMaster(environment);
  if (!local_address.ok()) return local_address.status();
  rendezvous.local_address = *std::move(local_address);
  return rendezvous;
}

}  // namespace ddgan
