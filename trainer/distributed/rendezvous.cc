#include <exception>
#include <optional>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "trainer/distributed/c10d_backends.h"
#include "trainer/distributed/c10d_errors.h"
#include "trainer/distributed/master_address.h"

namespace ddgan {
namespace {

// More ranks than this are counted, not listed.
constexpr size_t kMaxListedRanks = 16;

std::string JoinedKey(int rank) { return absl::StrCat("joined/", rank); }

// Whether this process and those that came before make one run.
absl::Status CheckFits(c10d::Store& store,
                       const ProcessEnvironment& environment,
                       const MasterAddress& master) {
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
                     environment.rank, " of ", size, " at ", master.ToString(),
                     ": each rank must be given once"));
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
  const MasterAddress master(environment.master_address,
                             environment.master_port);
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(environment.master_port);
  const bool launcher_serves = environment.launcher_store_prefix.has_value();
  options.isServer = environment.rank == 0 && !launcher_serves;
  options.numWorkers = environment.size;
  const char* const server = launcher_serves ? "the launcher" : "rank 0";
  // Waiting is done below, where it can be said who is missing.
  options.waitWorkers = false;
  if (options.isServer) {
    absl::StatusOr<std::optional<int>> fd = master.BindLoopback();
    if (!fd.ok()) return fd.status();
    options.masterListenFd = *fd;
  } else {
    // The store would wait by itself, but for up to twice as long, and it
    // prints stack traces meanwhile.
    const absl::Status listening = master.AwaitListener(timeout);
    if (!listening.ok()) {
      return absl::DeadlineExceededError(
          absl::StrCat("process group: rank ", environment.rank,
                       " cannot reach ", server, ": ", listening.message()));
    }
  }
  options.timeout = absl::ToChronoMilliseconds(timeout);
  Rendezvous rendezvous;
  try {
    rendezvous.store = c10::make_intrusive<c10d::TCPStore>(
        environment.master_address, options);
    if (launcher_serves) {
      rendezvous.store = c10::make_intrusive<c10d::PrefixStore>(
          *environment.launcher_store_prefix, rendezvous.store);
    }
  } catch (const std::exception& e) {
    return absl::UnavailableError(absl::StrCat(
        "process group: rank ", environment.rank,
        options.isServer ? " cannot listen at " : " is not let in at ",
        master.ToString(), ": ", FirstLine(e.what())));
  }
  try {
    absl::Status fits = CheckFits(*rendezvous.store, environment, master);
    if (!fits.ok()) return fits;
    std::vector<std::string> keys;
    for (int rank = 0; rank < environment.size; ++rank) {
      keys.push_back(JoinedKey(rank));
    }
    try {
      rendezvous.store->wait(keys, options.timeout);
    } catch (const c10::DistStoreError&) {
      const std::string missing = Missing(*rendezvous.store, environment.size);
      if (missing.empty()) throw;
      return absl::DeadlineExceededError(
          absl::StrCat("process group: ", missing, " of ", environment.size,
                       " processes did not join at ", master.ToString(),
                       " within ", absl::FormatDuration(timeout)));
    }
  } catch (const std::exception& e) {
    return absl::UnavailableError(
        absl::StrCat("process group: ", server, " at ", master.ToString(),
                     " left while others were joining: ", FirstLine(e.what())));
  }
  absl::StatusOr<std::string> local_address = master.LocalInterface();
  if (!local_address.ok()) return local_address.status();
  rendezvous.local_address = *std::move(local_address);
  return rendezvous;
}

}  // namespace ddgan
