#include <exception>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "trainer/distributed/c10d_backends.h"
#include "trainer/distributed/c10d_errors.h"

namespace ddgan {

absl::StatusOr<c10::intrusive_ptr<c10d::Backend>> ConnectGloo(
    const ProcessEnvironment& environment, const Rendezvous& rendezvous,
    absl::Duration timeout) {
  try {
    auto options = c10d::ProcessGroupGloo::Options::create(
        absl::ToChronoMilliseconds(timeout));
    // Connections are made here and now: made lazily, a process that died
    // before the first operation could not be told from a slow one.
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(
        rendezvous.local_address, /*lazyInit=*/false));
    return c10::intrusive_ptr<c10d::Backend>(
        c10::make_intrusive<c10d::ProcessGroupGloo>(
            rendezvous.store, environment.rank, environment.size, options));
  } catch (const std::exception& e) {
    return CollectiveError(e.what(), timeout);
  }
}

}  // namespace ddgan
