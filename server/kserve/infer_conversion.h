// Between ModelInfer's messages and what makes images. Pure functions.
#ifndef DDGAN_SERVER_KSERVE_INFER_CONVERSION_H_
#define DDGAN_SERVER_KSERVE_INFER_CONVERSION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "engine/api/generation.h"
#include "inference/v2.pb.h"
#include "server/calls/request_conversion.h"

namespace ddgan {

// Of ModelInferRequest::id, which comes back with the reply.
inline constexpr size_t kMaxInferIdBytes = 256;

struct ConvertedInfer {
  // Its deadline is not set.
  ConvertedRequest request;
  // From the call's arrival.
  absl::Duration timeout = absl::InfiniteDuration();
};

// InvalidArgument names the field, the value and what is allowed.
absl::StatusOr<ConvertedInfer> ConvertInfer(
    const inference::ModelInferRequest& request);

// A version as the protocol writes it, in decimal; nothing if it is empty.
// InvalidArgument names `field`, the value and the range.
absl::StatusOr<std::optional<int64_t>> ConvertModelVersion(
    absl::string_view field, const std::string& text);

// Everything in a reply but its contents.
void FillInferHeader(const Acceptance& acceptance,
                     const ConvertedRequest& request, const std::string& id,
                     inference::ModelInferResponse* response);

// Appends the contents. `images` has the request's images, each in its formats;
// they are freed as they are copied.
void FillInferContents(const ConvertedRequest& request,
                       std::vector<std::vector<std::string>> images,
                       inference::ModelInferResponse* response);

}  // namespace ddgan

#endif  // DDGAN_SERVER_KSERVE_INFER_CONVERSION_H_
