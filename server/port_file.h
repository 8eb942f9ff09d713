// The file that tells a script which ports the system chose (--port_file).
#ifndef DDGAN_SERVER_PORT_FILE_H_
#define DDGAN_SERVER_PORT_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace ddgan {

struct ServerPorts {
  int grpc = 0;
  int http = 0;
  int admin = 0;  // 0 if there is none.
};

// Writes one line of JSON, as {"grpc_port":1,"http_port":2,"admin_port":3}, so
// that no reader sees a part of it. Unavailable if that cannot be done.
absl::Status WritePortFile(const std::string& path, const ServerPorts& ports);

}  // namespace ddgan

#endif  // DDGAN_SERVER_PORT_FILE_H_
