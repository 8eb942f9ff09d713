// A connection to a server, with or without TLS and a token.
#ifndef DDGAN_CLIENT_SECURE_CHANNEL_H_
#define DDGAN_CLIENT_SECURE_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ddgan {

struct ConnectionSecurity {
  // The rest of the TLS fields only with it.
  bool tls = false;
  // PEM file of the authorities that may vouch for the server; empty: those
  // that the system trusts.
  std::string ca_file;
  // PEM files, both or neither: who this client is, for servers that ask.
  std::string cert_file;
  std::string key_file;
  // The name that the server's certificate must be for, where it is not the one
  // that the server is reached by.
  std::string server_name;

  // Holds the token to send with every call, and perhaps a line's end. Empty:
  // none is sent.
  std::string token_file;
  // Send it without TLS also to another machine, where everybody on the way can
  // read it.
  bool token_without_tls = false;
};

// InvalidArgument, naming --server of `ddgan`, unless it is "host:port" with a
// port in [1, 65535] or a target with one of gRPC's schemes. Pure.
absl::Status CheckServerAddress(absl::string_view address);

// As CheckServerAddress, and InvalidArgument, naming the flag, if the fields do
// not go together or would send the token in the clear to another machine.
// Pure.
absl::Status CheckConnectionSecurity(const std::string& address,
                                     const ConnectionSecurity& security);

// Whether "host:port" or another gRPC target certainly is this machine:
// localhost, 127.0.0.0/8 (also as IPv6 writes it), ::1 or a Unix socket.
bool IsLoopbackTarget(absl::string_view address);

// Reads the files and returns at once: the first call connects, and to this
// machine's loopback never through a proxy that the environment names. The
// channel takes the largest reply that a server sends. Fails as
// CheckConnectionSecurity, or because a file cannot be read or holds no token;
// no message shows what is in a file. A key or certificate that is no good
// shows in the calls, which are then Unavailable.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(
    const std::string& address, const ConnectionSecurity& security,
    grpc::ChannelArguments arguments = {});

}  // namespace ddgan

#endif  // DDGAN_CLIENT_SECURE_CHANNEL_H_
