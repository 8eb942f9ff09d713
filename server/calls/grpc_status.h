// absl::Status to grpc::Status, here only.
#ifndef DDGAN_SERVER_CALLS_GRPC_STATUS_H_
#define DDGAN_SERVER_CALLS_GRPC_STATUS_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace ddgan {

// When a caller that met a full server should come back, from the standard
// trailer `grpc-retry-pushback-ms`, if the refusal has no hint of its own
// (engine/api/retry_hint.h). Long enough for a queue to lose a few batches,
// short enough to find the room that they leave.
inline constexpr absl::Duration kRetryPushback = absl::Milliseconds(500);

// Same code, same message (cut to 1 KiB, since it travels in a trailer, whose
// size clients bound). ResourceExhausted also adds the retry trailer to
// `context`, so call this once per call, just before Finish.
grpc::Status ToGrpcStatus(const absl::Status& status,
                          grpc::ServerContextBase* context);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GRPC_STATUS_H_
