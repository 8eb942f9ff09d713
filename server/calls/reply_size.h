// The most memory that a call can come to hold for its caller. Pure.
#ifndef DDGAN_SERVER_CALLS_REPLY_SIZE_H_
#define DDGAN_SERVER_CALLS_REPLY_SIZE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "engine/api/generation.h"
#include "server/calls/request_conversion.h"

namespace ddgan {

// Bytes of a call for n images: `fixed` + n * `per_image`.
struct ReplySize {
  int64_t fixed = 0;
  int64_t per_image = 0;

  int64_t Of(int64_t images) const { return fixed + images * per_image; }
};

// One image in a reply, whatever its pixels.
int64_t LargestImageBytes(const ImageShape& shape, v1::OutputFormat format);

// A reply with all images is there twice while it is sent: as a message, and as
// what gRPC has made of it. `request_bytes` are kept of the request.
ReplySize LargestReply(const ImageShape& shape,
                       const std::vector<v1::OutputFormat>& formats,
                       int64_t request_bytes);

// Of a stream one message is there twice, and one is encoded ahead. With
// previews, one of each image may wait beside the images.
ReplySize LargestStream(const ImageShape& shape, v1::OutputFormat format,
                        int64_t request_bytes, bool previews);

// InvalidArgument that names the largest count that fits, or says that none
// does, if `limit` bytes could never be enough for `request`.
absl::Status CheckFits(const ConvertedRequest& request, const ImageShape& shape,
                       const ReplySize& size, int64_t limit);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_REPLY_SIZE_H_
