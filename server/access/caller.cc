#include "server/access/caller.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/access/caller_name.h"

namespace ddgan {
namespace {

std::shared_ptr<const Tenant> TenantOf(AccessControl* access,
                                       const grpc::ServerContextBase& context) {
  std::vector<absl::string_view> authorization;
  const auto [begin, end] =
      context.client_metadata().equal_range(kAuthorizationKey);
  for (auto value = begin; value != end; ++value) {
    authorization.emplace_back(value->second.data(), value->second.size());
  }
  return access->TenantOf(authorization);
}

// What the token, the connection and the metadata tell of the caller. `tenant`
// is null if calls need no token.
CallerEvidence EvidenceOf(const grpc::ServerContextBase& context,
                          const Tenant* tenant) {
  CallerEvidence evidence;
  evidence.peer = context.peer();
  if (tenant != nullptr) {
    evidence.authenticated_name = tenant->name;
    return evidence;
  }
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    const std::vector<grpc::string_ref> names = auth->GetPeerIdentity();
    if (!names.empty()) {
      evidence.authenticated_name.assign(names[0].data(), names[0].size());
    }
  }
  const auto& metadata = context.client_metadata();
  if (const auto id = metadata.find(kClientIdKey); id != metadata.end()) {
    evidence.client_id.assign(id->second.data(), id->second.size());
  }
  return evidence;
}

}  // namespace

absl::StatusOr<Caller> CallerOf(AccessControl* access,
                                const grpc::ServerContextBase& context) {
  Caller caller;
  if (access != nullptr) {
    caller.tenant = TenantOf(access, context);
    if (caller.tenant == nullptr) {
      return absl::UnauthenticatedError("the token is not known here any more");
    }
  }
  const CallerEvidence evidence = EvidenceOf(context, caller.tenant.get());
  absl::StatusOr<std::string> name = CallerName(evidence);
  if (!name.ok()) return name.status();
  caller.name = *std::move(name);
  caller.account = CallerAccount(evidence);
  return caller;
}

std::string CallerForLog(AccessControl* access,
                         const grpc::ServerContextBase& context) {
  absl::StatusOr<Caller> caller = CallerOf(access, context);
  return caller.ok() ? std::move(caller->name) : PeerAddress(context.peer());
}

}  // namespace ddgan
