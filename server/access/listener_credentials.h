// What a gRPC listener asks of its callers: TLS with the identity that is
// current when a connection begins, and a token for each call.
#ifndef DDGAN_SERVER_ACCESS_LISTENER_CREDENTIALS_H_
#define DDGAN_SERVER_ACCESS_LISTENER_CREDENTIALS_H_

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/server_credentials.h>

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "server/access/access_control.h"
#include "server/access/tls_identity.h"
#include "server/access/trace_context.h"

namespace ddgan {

// A call that was turned away before it reached a service.
struct DeniedCall {
  const AccessDecision& decision;
  absl::string_view path;  // "/ddgan.v1.ImageGeneration/Generate"; any bytes
  TraceEvidence trace;
};

// For any number of listeners, on which the same rules then hold. A class of
// our own over gRPC's C interface, since in gRPC 1.51
//   - the C++ credentials without TLS end the process when they are given
//     something that checks metadata;
//   - FileWatcherCertificateProvider hands on whatever is in the files, and a
//     listener lets go of the old pair before it knows whether the new one
//     works.
// In 1.54 ServerCredentials gets another shape, and this will have to follow.
class ListenerCredentials final : public grpc::ServerCredentials {
 public:
  using OnDenial = std::function<void(const DeniedCall&)>;

  // Both must outlive the servers that use the credentials, and so must the
  // credentials. `identity` null: no TLS; else it is set, and whether it has
  // client authorities never changes. `access` null: all calls are admitted.
  // `on_denial` is called on gRPC's threads, with views that end with it.
  ListenerCredentials(const CurrentTlsIdentity* identity, AccessControl* access,
                      OnDenial on_denial);

  // Not for these: the metadata is checked already. Ends the process.
  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>& processor) override;

 private:
  // Which identity one listener was last given.
  struct Listener {
    const CurrentTlsIdentity* identity;
    std::shared_ptr<const TlsIdentity> given;
  };

  // While a server is being built.
  int AddPortToServer(const std::string& address, grpc_server* server) override;

  static grpc_ssl_certificate_config_reload_status FetchIdentity(
      void* listener, grpc_ssl_server_certificate_config** config);
  static void CheckMetadata(void* credentials, grpc_auth_context* context,
                            const grpc_metadata* metadata, size_t size,
                            grpc_process_auth_metadata_done_cb done,
                            void* done_data);

  const CurrentTlsIdentity* const identity_;
  AccessControl* const access_;
  const OnDenial on_denial_;
  std::list<Listener> listeners_;  // gRPC keeps their addresses.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_LISTENER_CREDENTIALS_H_
