// Certificate, key and client authorities of the server: text to something that
// is known to work, so that gRPC is never given anything else.
#ifndef DDGAN_SERVER_ACCESS_TLS_IDENTITY_H_
#define DDGAN_SERVER_ACCESS_TLS_IDENTITY_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ddgan {

struct TlsIdentity {
  std::string cert_chain;  // PEM, the server's own certificate first.
  std::string key;         // PEM.
  // PEM. Empty: clients are not asked for a certificate.
  std::string client_ca;
  absl::Time expires;  // The server's own certificate.
};

// `identity` with `expires` set, if a server can use it at `now`: all files
// parse to their end, the key is the certificate's and not encrypted, OpenSSL
// finds both strong enough, and the certificate is valid now. InvalidArgument
// says what is wrong, and shows nothing of the files. Thread-safe.
absl::StatusOr<TlsIdentity> CheckTlsIdentity(TlsIdentity identity,
                                             absl::Time now);

// The identity for new connections. Thread-safe.
class CurrentTlsIdentity {
 public:
  void Set(TlsIdentity identity) ABSL_LOCKS_EXCLUDED(mu_) {
    auto next = std::make_shared<const TlsIdentity>(std::move(identity));
    absl::MutexLock lock(&mu_);
    current_.swap(next);
  }
  // Null before the first Set.
  std::shared_ptr<const TlsIdentity> Get() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return current_;
  }

 private:
  mutable absl::Mutex mu_;
  std::shared_ptr<const TlsIdentity> current_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_TLS_IDENTITY_H_
