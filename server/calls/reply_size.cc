#include "server/calls/reply_size.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// What a PNG adds to pixels that do not compress: its chunks and the text of
// png_provenance.h, and a 64th for deflate's blocks and the rows' filters. Also
// what an image takes beside its bytes.
constexpr int64_t kImageOverheadBytes = 2 << 10;
constexpr int64_t kPngGrowth = 64;

// What a call takes in gRPC and here beside its images.
constexpr int64_t kCallOverheadBytes = 16 << 10;

}  // namespace

int64_t LargestImageBytes(const ImageShape& shape, v1::OutputFormat format) {
  const int64_t pixels = ImageBytes(shape, format);
  return pixels + pixels / kPngGrowth + shape.height + kImageOverheadBytes;
}

ReplySize LargestReply(const ImageShape& shape,
                       const std::vector<v1::OutputFormat>& formats,
                       int64_t request_bytes) {
  int64_t image = 0;
  for (const v1::OutputFormat format : formats) {
    image += LargestImageBytes(shape, format);
  }
  return {.fixed = kCallOverheadBytes + request_bytes, .per_image = 2 * image};
}

ReplySize LargestStream(const ImageShape& shape, v1::OutputFormat format,
                        int64_t request_bytes, bool previews) {
  const int64_t image = LargestImageBytes(shape, format);
  return {.fixed = kCallOverheadBytes + request_bytes + 3 * image,
          .per_image = previews ? 2 * image : image};
}

absl::Status CheckFits(const ConvertedRequest& request, const ImageShape& shape,
                       const ReplySize& size, int64_t limit) {
  const int64_t count = request.generation.count;
  if (size.Of(count) <= limit) return absl::OkStatus();
  const int64_t fits =
      std::max<int64_t>(0, limit - size.fixed) / size.per_image;
  const std::string images =
      absl::StrCat(NamesOf(request.formats), " images of ", shape.channels, "x",
                   shape.height, "x", shape.width);
  const std::string kept =
      absl::StrCat("this server keeps at most ", limit,
                   " bytes for a caller until they are read");
  if (fits == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a request of this size with one of its ", images,
                     " takes ", size.Of(1), " bytes, and ", kept));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(request.count_field, ": ", count, " is out of range [1, ",
                   fits, "] for ", images, ", as ", kept));
}

}  // namespace ddgan
