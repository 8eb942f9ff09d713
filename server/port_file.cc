#include "server/port_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace ddgan {

absl::Status WritePortFile(const std::string& path, const ServerPorts& ports) {
  const std::string staging = absl::StrCat(path, ".", getpid(), ".partial");
  nlohmann::ordered_json line = {{"grpc_port", ports.grpc},
                                 {"http_port", ports.http}};
  if (ports.admin != 0) line["admin_port"] = ports.admin;
  std::ofstream file(staging);
  file << line.dump() << '\n';
  file.close();
  if (!file || rename(staging.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(staging.c_str());
    return absl::UnavailableError(
        absl::StrCat("cannot be written: ", strerror(error)));
  }
  return absl::OkStatus();
}

}  // namespace ddgan
