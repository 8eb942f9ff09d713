// Who makes a gRPC call.
#ifndef DDGAN_SERVER_ACCESS_CALLER_H_
#define DDGAN_SERVER_ACCESS_CALLER_H_

#include <grpcpp/server_context.h>

#include <string>

#include "absl/strings/string_view.h"
#include "server/access/access_control.h"
#include "server/access/caller_name.h"

namespace ddgan {

// Whose token the call to `method`, "/package.Service/Method", carries. The
// listener has checked it already, but a token may have been withdrawn or have
// expired meanwhile.
AccessDecision AccessOf(AccessControl* access, absl::string_view method,
                        const grpc::ServerContextBase& context);

// What the token, the connection and the metadata tell of the caller. `tenant`
// is null if calls need no token.
CallerEvidence EvidenceOf(const grpc::ServerContextBase& context,
                          const Tenant* tenant);

// For a log: the name that fair sharing has for the caller, or the peer's
// address if there is none, or if the call needs a token and has no good one:
// whoever has none must not write another's name there.
std::string CallerForLog(const grpc::ServerContextBase& context,
                         bool needs_token, const Tenant* tenant);

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_CALLER_H_
