#include "server/calls/grpc_status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/api/retry_hint.h"

namespace ddgan {
namespace {

constexpr size_t kMaxMessageSize = 1024;
constexpr char kRetryPushbackTrailer[] = "grpc-retry-pushback-ms";

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status,
                          grpc::ServerContextBase* context) {
  if (status.ok()) return grpc::Status::OK;
  if (absl::IsResourceExhausted(status)) {
    const absl::Duration pushback = RetryAfter(status).value_or(kRetryPushback);
    context->AddTrailingMetadata(
        kRetryPushbackTrailer,
        absl::StrCat(absl::ToInt64Milliseconds(pushback)));
  }
  // Both libraries number the canonical codes alike; code() has already mapped
  // whatever is not canonical to kUnknown.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message().substr(0, kMaxMessageSize)));
}

}  // namespace ddgan
