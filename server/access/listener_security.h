// TLS and tokens of all gRPC listeners: reads the files, watches them, and
// gives each listener its credentials.
#ifndef DDGAN_SERVER_ACCESS_LISTENER_SECURITY_H_
#define DDGAN_SERVER_ACCESS_LISTENER_SECURITY_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/base/clock.h"
#include "engine/base/listen_address.h"
#include "server/access/access_control.h"
#include "server/access/access_observer.h"
#include "server/access/access_record.h"
#include "server/access/file_reload.h"
#include "server/access/listener_credentials.h"
#include "server/access/tls_identity.h"

namespace ddgan {

struct SecurityOptions {
  // PEM files. Certificate and key both or neither; empty: no TLS.
  std::string tls_cert;
  std::string tls_key;
  // Authorities of client certificates; empty: clients need none.
  std::string tls_client_ca;
  // Empty: every call that arrives is admitted.
  std::string token_file;
  // Tokens may travel in the clear: TLS ends at a proxy.
  bool tokens_without_tls = false;
};

// InvalidArgument, with a sentence that names the flags, if `options` do not go
// together, or would send tokens in the clear to one of `listeners`. Pure.
absl::Status CheckSecurity(const SecurityOptions& options,
                           absl::Span<const ListenAddress> listeners);

// Thread-safe. A thread of its own looks at the files every `poll_interval`.
class ListenerSecurity {
 public:
  static constexpr absl::Duration kPollInterval = absl::Seconds(1);

  // Reads the files of `options`, which have passed CheckSecurity. Any that
  // cannot be used is an error that names its flag. Calls that are turned away
  // are counted and have their line in `access_log`. `metrics`, `access_log`
  // and `clock` must outlive the object.
  static absl::StatusOr<std::unique_ptr<ListenerSecurity>> Start(
      const SecurityOptions& options, AccessObserver* metrics,
      AccessRecorder* access_log, Clock* clock,
      absl::Duration poll_interval = kPollInterval);

  ListenerSecurity(const ListenerSecurity&) = delete;
  ListenerSecurity& operator=(const ListenerSecurity&) = delete;
  ~ListenerSecurity() ABSL_LOCKS_EXCLUDED(mu_);

  // The same for all listeners. The object must outlive their servers.
  std::shared_ptr<grpc::ServerCredentials> credentials() const {
    return credentials_;
  }
  bool tls() const { return tls_.has_value(); }
  // Null if no call needs a token.
  AccessControl* access() const { return access_.get(); }

 private:
  ListenerSecurity(const SecurityOptions& options, AccessObserver* metrics,
                   Clock* clock, absl::Duration poll_interval);

  absl::Status TakeTls(const std::vector<std::string>& contents);
  absl::Status TakeTokens(const std::vector<std::string>& contents);
  void Watch() ABSL_LOCKS_EXCLUDED(mu_);
  void Poll();

  // Constant after construction.
  const SecurityOptions options_;
  AccessObserver* const metrics_;
  Clock* const clock_;
  const absl::Duration poll_interval_;
  std::unique_ptr<AccessControl> access_;  // Set by the first TakeTokens.
  std::shared_ptr<ListenerCredentials> credentials_;

  CurrentTlsIdentity identity_;
  // Used by Start, then by the thread alone.
  std::optional<FileReload> tls_;
  std::optional<FileReload> tokens_;

  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_LISTENER_SECURITY_H_
