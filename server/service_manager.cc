#include "server/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace ddgan {

ServiceManager::ServiceManager(std::string socket)
    : socket_(std::move(socket)) {}

absl::Status ServiceManager::Ready(absl::string_view status) const {
  // A second line would be another message.
  return Send(absl::StrCat("READY=1\nSTATUS=",
                           absl::StrReplaceAll(status, {{"\n", " "}})));
}

absl::Status ServiceManager::Stopping(absl::Duration limit) const {
  return Send(absl::StrCat(
      "STOPPING=1\nSTATUS=Finishing accepted work\nEXTEND_TIMEOUT_USEC=",
      absl::ToInt64Microseconds(limit)));
}

absl::Status ServiceManager::Send(const std::string& state) const {
  if (socket_.empty()) return absl::OkStatus();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if ((socket_[0] != '/' && socket_[0] != '@') ||
      socket_.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "NOTIFY_SOCKET is ", socket_, ", must be a path or @name of at most ",
        sizeof(address.sun_path) - 1, " bytes"));
  }
  socket_.copy(address.sun_path, socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ssize_t sent = -1;
  if (descriptor >= 0) {
    sent = sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address),
                  offsetof(sockaddr_un, sun_path) + socket_.size());
  }
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  if (sent == static_cast<ssize_t>(state.size())) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "cannot tell the service manager at ", socket_, ": ", strerror(error)));
}

}  // namespace ddgan
