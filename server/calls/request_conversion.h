// Between the wire's messages and the engine's structs. Pure functions: this is
// where bad input becomes a sentence that names the field.
#ifndef DDGAN_SERVER_CALLS_REQUEST_CONVERSION_H_
#define DDGAN_SERVER_CALLS_REQUEST_CONVERSION_H_

#include <grpc/support/time.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/generation.h"

namespace ddgan {

// Most bytes of images in one reply. 64 float32 images of 3x256x256, the
// largest published models, are 48 MiB.
inline constexpr int64_t kMaxReplyImageBytes = int64_t{64} << 20;
// Room for a reply's other fields, and for what PNG adds to pixels that do not
// compress. Together with the above the largest message that the server sends.
inline constexpr int64_t kMaxReplyOverheadBytes = int64_t{1} << 20;

// InvalidArgument that names the field, the value and the range unless a call
// that is about one model, or version, names one.
absl::Status CheckModelName(const std::string& name,
                            absl::string_view field = "model");
absl::Status CheckVersion(int64_t version);

// What a call asks for: the engine's part and the server's part.
struct ConvertedRequest {
  GenerationRequest generation;
  // In which an image is sent: at least one, none twice, none UNSPECIFIED.
  std::vector<v1::OutputFormat> formats = {v1::OUTPUT_FORMAT_PNG};
  // What the caller knows the number of images by.
  const char* count_field = "count";
};

// What the engine has to make so that images can be sent in all of `formats`.
PixelFormat PixelFormatFor(const std::vector<v1::OutputFormat>& formats);
// For a sentence: "OUTPUT_FORMAT_RAW8 and OUTPUT_FORMAT_PNG".
std::string NamesOf(const std::vector<v1::OutputFormat>& formats);

// All but the caller and whether there are previews. `draw_seed` is called only
// if the request has no seed. Of a guide's picture only the header is read.
// InvalidArgument names the field, the value and the range.
absl::StatusOr<ConvertedRequest> ConvertRequest(
    const v1::GenerateRequest& request, absl::Time deadline,
    absl::FunctionRef<uint64_t()> draw_seed);

// Of one image's pixels, in one format.
int64_t ImageBytes(const ImageShape& shape, v1::OutputFormat format);

// InvalidArgument if `request`'s images, each of `shape`, could exceed
// kMaxReplyImageBytes; names the largest count that fits.
absl::Status CheckReplySize(const ConvertedRequest& request,
                            const ImageShape& shape);

// Everything in a reply except its images and timings.
void FillReplyHeader(const Acceptance& acceptance, uint64_t seed,
                     v1::GenerateResponse* response);

v1::StreamAccepted ConvertAcceptance(const Acceptance& acceptance,
                                     uint64_t seed);

void ConvertShape(const ImageShape& shape, v1::ImageShape* out);

void ConvertTimings(const GenerationTimings& timings, absl::Duration encode,
                    v1::GenerateTimings* out);

// A deadline as gRPC gives it, raw_deadline(), becomes one of a clock that
// reads `now` when gRPC's clock of that kind reads `grpc_now`. None, and one
// more than ten years away, is InfiniteFuture: clients whose language has no
// word for "none" send their longest time, up to 99,999,999 hours.
absl::Time ConvertDeadline(const gpr_timespec& deadline,
                           const gpr_timespec& grpc_now, absl::Time now);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_REQUEST_CONVERSION_H_
