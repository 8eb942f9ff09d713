// What access control announces; telemetry turns it into metrics.
#ifndef DDGAN_SERVER_ACCESS_ACCESS_OBSERVER_H_
#define DDGAN_SERVER_ACCESS_ACCESS_OBSERVER_H_

#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/access/tenant_quotas.h"

namespace ddgan {

// Files that are read again while the server runs.
enum class SecurityFiles { kTls, kTokens };

// Thread-safe; methods return quickly. Whoever does not care for an event
// leaves its method alone.
class AccessObserver {
 public:
  virtual ~AccessObserver() = default;

  // A call was denied access.
  virtual void OnAccessDenied(AccessDenial /*denial*/) {}
  // A call was turned away by its tenant's quota.
  virtual void OnQuotaRefusal(QuotaRefusal /*reason*/) {}
  // There are such files: their series begin at 0.
  virtual void ExpectReloads(SecurityFiles /*files*/) {}
  // New contents were found, and taken or refused.
  virtual void OnSecurityReload(SecurityFiles /*files*/, bool /*taken*/) {}
  // Whether what is on disk now is refused, and older contents are in force.
  virtual void OnSecurityFilesRefused(SecurityFiles /*files*/,
                                      bool /*refused*/) {}
  // The certificate for new connections.
  virtual void OnCertificate(absl::Time /*expires*/) {}
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_ACCESS_OBSERVER_H_
