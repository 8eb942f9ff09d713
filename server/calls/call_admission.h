// The admission of a call that makes images: everything that it will need is
// booked, or the call is refused, before anything is made or decoded for it.
#ifndef DDGAN_SERVER_CALLS_CALL_ADMISSION_H_
#define DDGAN_SERVER_CALLS_CALL_ADMISSION_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/engine.h"
#include "engine/api/generation.h"
#include "server/access/access_observer.h"
#include "server/access/caller.h"
#include "server/access/tenant_quotas.h"
#include "server/calls/call_observer.h"
#include "server/calls/encode_pool.h"
#include "server/calls/guide_decoder.h"
#include "server/calls/png_provenance.h"
#include "server/calls/reply_size.h"
#include "server/calls/request_conversion.h"
#include "server/connections/byte_ledger.h"

namespace ddgan {

// What a call holds until it ends, or needs it no more. Each is given back when
// it is destroyed.
struct CallHoldings {
  std::optional<TenantQuotas::Lease> quota;  // Unset also without tokens.
  ByteLedger::Reservation reply_bytes;
  std::optional<EncodePool::Reservation> encoder_room;
};

// As far as it has come, if the call is refused.
struct Admission {
  // Of no images, until it has been found valid.
  ConvertedRequest request = [] {
    ConvertedRequest none;
    none.generation.count = 0;
    return none;
  }();
  ReplySize reply_size;
  // Of the version that makes the images.
  std::optional<PngProvenance> provenance;
  // What the caller is told if the engine has nothing to make for the call.
  Acceptance without_work;
  CallHoldings holdings;
  // Of a request with a guide, until that is decoded.
  std::optional<GuideDecoder::Room> guide_room;
  std::unique_ptr<Reservation> place;  // In the engine, until it is submitted.
};

// A call that wants to be admitted.
struct Applicant {
  // As its message was converted; its error refuses the call.
  absl::StatusOr<ConvertedRequest> request;
  int64_t request_bytes = 0;  // Kept of its message.
  Caller caller;
  bool previews = false;
};

// The most that a reply of images of `shape` can come to, or why there is none
// of this size. `request_bytes` are kept of its message.
using SizeReply = absl::FunctionRef<absl::StatusOr<ReplySize>(
    const ConvertedRequest& request, const ImageShape& shape,
    int64_t request_bytes)>;

// What calls are admitted to. All must outlive what is admitted. Thread-safe.
class CallAdmission {
 public:
  struct Parts {
    Engine* engine = nullptr;
    EncodePool* encode_pool = nullptr;
    GuideDecoder* guide_decoder = nullptr;
    ByteLedger* ledger = nullptr;
    TenantQuotas* quotas = nullptr;  // Null: there are no tenants.
    CallObserver* metrics = nullptr;
    AccessObserver* access_metrics = nullptr;
  };

  explicit CallAdmission(const Parts& parts) : parts_(parts) {}

  // Finds the version that the request will run on, whatever goes live
  // meanwhile; then takes of the tenant's quota, books the reply by
  // that version's images, room at the encoders and at the guide decoder, and
  // the place in the engine. Never waits, and decodes nothing.
  //   InvalidArgument    names the field, the value and the range
  //   ResourceExhausted  there is no room now; may say when to come back
  //   otherwise          as Engine::Resolve and Engine::Reserve
  absl::Status Admit(Applicant applicant, SizeReply size_reply,
                     Admission* admission) const;

 private:
  absl::Status TakeQuota(const Caller& caller, Admission* admission) const;
  absl::Status BookReply(const Applicant& applicant, const ImageShape& shape,
                         SizeReply size_reply, Admission* admission) const;
  absl::Status BookEncoder(Admission* admission) const;
  absl::Status BookDecoder(const std::string& account,
                           Admission* admission) const;

  const Parts parts_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_CALL_ADMISSION_H_
