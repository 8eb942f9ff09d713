// What a caller is called, for fair sharing and for limits.
#ifndef DDGAN_SERVER_ACCESS_CALLER_NAME_H_
#define DDGAN_SERVER_ACCESS_CALLER_NAME_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// The most bytes of a name that is looked up: of a model, of a tenant, or the
// one that a caller gives itself.
inline constexpr size_t kMaxNameSize = 64;

// Metadata in which a caller that is not authenticated may name itself.
inline constexpr char kClientIdKey[] = "ddgan-client-id";

// What a connection tells about who calls; each part may be empty.
struct CallerEvidence {
  std::string authenticated_name;
  std::string client_id;  // The metadata kClientIdKey.
  std::string peer;       // As gRPC writes it: "ipv4:10.0.0.7:51312".
};

// Whose call it is, for fair sharing: the first part that is not empty, the
// peer without its port, since a caller has a new one with each connection.
// InvalidArgument if a client id that is looked at is no name.
absl::StatusOr<std::string> CallerName(const CallerEvidence& evidence);

// On whose account the memory is that a call holds: the authenticated name, or
// the peer's PeerGroup. Never a name that the caller may choose.
std::string CallerAccount(const CallerEvidence& evidence);

// The address in a gRPC peer string: "10.0.0.7", "2001:db8::7", "unix:/a/path".
// Whatever is not understood stays as it is.
std::string PeerAddress(absl::string_view peer);

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_CALLER_NAME_H_
