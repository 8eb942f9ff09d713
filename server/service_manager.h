// Tells the service manager that has started this process how far it is, by the
// protocol of systemd's sd_notify(3): one datagram with lines such as
// "READY=1". libsystemd would do the same and bring five more libraries into
// the process.
#ifndef DDGAN_SERVER_SERVICE_MANAGER_H_
#define DDGAN_SERVER_SERVICE_MANAGER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ddgan {

// Thread-compatible.
class ServiceManager {
 public:
  // `socket` is the value of NOTIFY_SOCKET: a path, or "@name" for a name that
  // is no file. Empty: nobody wants to know, and every call is OK and does
  // nothing.
  explicit ServiceManager(std::string socket);

  // It serves; `status`, one line, is what `systemctl status` shows.
  //   InvalidArgument  the socket is neither a path nor a name, or too long
  //   Unavailable      nobody took it
  absl::Status Ready(absl::string_view status) const;

  // It begins to stop, which takes at most `limit`: the manager does not end
  // the process before. Errors as Ready's.
  absl::Status Stopping(absl::Duration limit) const;

 private:
  absl::Status Send(const std::string& state) const;

  const std::string socket_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_SERVICE_MANAGER_H_
