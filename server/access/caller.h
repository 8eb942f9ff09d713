// Who makes a gRPC call.
#ifndef DDGAN_SERVER_ACCESS_CALLER_H_
#define DDGAN_SERVER_ACCESS_CALLER_H_

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/access/access_control.h"
#include "server/access/token_table.h"

namespace ddgan {

struct Caller {
  std::string name;     // For fair sharing and logs: CallerName.
  std::string account;  // For what the call holds: CallerAccount.
  std::shared_ptr<const Tenant> tenant;  // Null if calls need no token.
};

// Of a call that the listener has admitted. `access` is null if calls need no
// token.
//   Unauthenticated  the token was withdrawn while the request was on its way
//   InvalidArgument  the client id is no name
absl::StatusOr<Caller> CallerOf(AccessControl* access,
                                const grpc::ServerContextBase& context);

// For a log: the caller's name, or the peer's address if CallerOf fails.
// Whoever has no good token must not write another's name there.
std::string CallerForLog(AccessControl* access,
                         const grpc::ServerContextBase& context);

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_CALLER_H_
