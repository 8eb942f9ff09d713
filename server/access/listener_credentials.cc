#include "server/access/listener_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ddgan {
namespace {

constexpr char kPathKey[] = ":path";

// Valid as long as `slice`.
absl::string_view View(const grpc_slice& slice) {
  return absl::string_view(
      reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)),
      GRPC_SLICE_LENGTH(slice));
}

TraceEvidence TraceOf(absl::Span<const grpc_metadata> metadata) {
  TraceEvidence trace;
  for (const grpc_metadata& entry : metadata) {
    const absl::string_view key = View(entry.key);
    if (key == kTraceParentKey) trace.parents.emplace_back(View(entry.value));
    if (key == kTraceStateKey) trace.states.emplace_back(View(entry.value));
  }
  return trace;
}

}  // namespace

ListenerCredentials::ListenerCredentials(const CurrentTlsIdentity* identity,
                                         AccessControl* access,
                                         OnDenial on_denial)
    : identity_(identity), access_(access), on_denial_(std::move(on_denial)) {}

void ListenerCredentials::SetAuthMetadataProcessor(
    const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/) {
  std::abort();
}

int ListenerCredentials::AddPortToServer(const std::string& address,
                                         grpc_server* server) {
  grpc_server_credentials* credentials = nullptr;
  if (identity_ == nullptr) {
    credentials = grpc_insecure_server_credentials_create();
  } else {
    // These take no protocol below TLS 1.2.
    listeners_.push_back({identity_, nullptr});
    credentials = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            identity_->Get()->client_ca.empty()
                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
            &ListenerCredentials::FetchIdentity, &listeners_.back()));
  }
  if (access_ != nullptr) {
    grpc_server_credentials_set_auth_metadata_processor(
        credentials, {.process = &ListenerCredentials::CheckMetadata,
                      .destroy = nullptr,
                      .state = this});
  }
  const int port =
      grpc_server_add_http2_port(server, address.c_str(), credentials);
  grpc_server_credentials_release(credentials);
  return port;
}

// Before each handshake, one at a time for each listener.
grpc_ssl_certificate_config_reload_status ListenerCredentials::FetchIdentity(
    void* listener, grpc_ssl_server_certificate_config** config) {
  auto* const self = static_cast<Listener*>(listener);
  std::shared_ptr<const TlsIdentity> current = self->identity->Get();
  if (current == self->given) {
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  }
  const grpc_ssl_pem_key_cert_pair pair = {current->key.c_str(),
                                           current->cert_chain.c_str()};
  // gRPC aborts without authorities, also where it asks for no certificate;
  // then it verifies none, so that it makes no difference which these are.
  const std::string& client_ca =
      current->client_ca.empty() ? current->cert_chain : current->client_ca;
  *config =
      grpc_ssl_server_certificate_config_create(client_ca.c_str(), &pair, 1);
  self->given = std::move(current);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

// Before the call reaches a service. The context belongs to the connection, not
// to the call, so who calls is not noted there: the next call on the connection
// may come with another token.
void ListenerCredentials::CheckMetadata(void* credentials,
                                        grpc_auth_context* /*context*/,
                                        const grpc_metadata* metadata,
                                        size_t size,
                                        grpc_process_auth_metadata_done_cb done,
                                        void* done_data) {
  auto* const self = static_cast<ListenerCredentials*>(credentials);
  absl::string_view path;
  std::vector<absl::string_view> authorization;
  for (size_t i = 0; i < size; ++i) {
    const absl::string_view key = View(metadata[i].key);
    if (key == kPathKey) path = View(metadata[i].value);
    if (key == kAuthorizationKey) {
      authorization.push_back(View(metadata[i].value));
    }
  }
  const AccessDecision decision = self->access_->Decide(path, authorization);
  if (decision.denial.has_value()) {
    self->on_denial_({.decision = decision,
                      .path = path,
                      .trace = TraceOf(absl::MakeSpan(metadata, size))});
  }
  // Both libraries number the codes alike.
  done(done_data, nullptr, 0, nullptr, 0,
       static_cast<grpc_status_code>(decision.status.code()),
       std::string(decision.status.message()).c_str());
}

}  // namespace ddgan
