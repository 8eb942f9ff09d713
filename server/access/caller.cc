#include "server/access/caller.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace ddgan {

AccessDecision AccessOf(AccessControl* access, absl::string_view method,
                        const grpc::ServerContextBase& context) {
  std::vector<absl::string_view> authorization;
  const auto values = context.client_metadata().equal_range(kAuthorizationKey);
  for (auto value = values.first; value != values.second; ++value) {
    authorization.emplace_back(value->second.data(), value->second.size());
  }
  return access->Decide(method, authorization);
}

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

std::string CallerForLog(const grpc::ServerContextBase& context,
                         bool needs_token, const Tenant* tenant) {
  const CallerEvidence evidence = EvidenceOf(context, tenant);
  if (needs_token && tenant == nullptr) return PeerAddress(evidence.peer);
  absl::StatusOr<std::string> caller = CallerName(evidence);
  return caller.ok() ? *std::move(caller) : PeerAddress(evidence.peer);
}

}  // namespace ddgan
