#include "trainer/dataset/image_decoder.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/imaging/png_decoder.h"
#include "engine/imaging/triangle_resize.h"
#include "trainer/dataset/jpeg_decoder.h"

namespace ddgan {
namespace {

constexpr int kMaxSide = 16384;
constexpr int64_t kMaxPixels = int64_t{1} << 25;

constexpr std::string_view kPngStart = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kJpegStart = "\xff\xd8\xff";

// What `bytes` are instead of PNG or JPEG.
std::string FormatName(std::string_view bytes) {
  if (bytes.empty()) return "an empty file";
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) {
    return "a WebP picture";
  }
  if (bytes.starts_with("GIF8")) return "a GIF picture";
  if (bytes.starts_with("BM")) return "a BMP picture";
  if (bytes.starts_with("II*") || bytes.starts_with("MM")) {
    return "a TIFF picture";
  }
  return absl::StrCat("these ", bytes.size(), " bytes");
}

std::string ChannelsName(int channels) {
  return channels == 1 ? "gray (1 channel)" : "RGB (3 channels)";
}

// The shape's side out of one of the picture's, where `scale_from` pixels
// become `side`.
ResizedSide Centred(int from, int scale_from, int side) {
  const int to = static_cast<int>(int64_t{from} * side / scale_from);
  return {from, to, (to - side) / 2, side};
}

bool Consistent(const Picture& picture) {
  const ImageShape& shape = picture.shape;
  return (shape.channels == 1 || shape.channels == 3) && shape.height >= 1 &&
         shape.width >= 1 && picture.pixels.size() == shape.numel();
}

}  // namespace

bool IsEncodedImage(std::string_view bytes) {
  return bytes.starts_with(kPngStart) || bytes.starts_with(kJpegStart);
}

absl::StatusOr<Picture> DecodeImage(std::string_view bytes) {
  if (bytes.size() > kMaxEncodedBytes) {
    return absl::DataLossError(absl::StrCat(
        bytes.size(), " bytes, allowed are at most ", kMaxEncodedBytes));
  }
  if (!IsEncodedImage(bytes)) {
    return absl::DataLossError(
        absl::StrCat(FormatName(bytes), "; PNG and JPEG can be read"));
  }
  absl::StatusOr<Picture> picture =
      bytes.starts_with(kPngStart)
          ? DecodePng(bytes, {kMaxEncodedBytes, kMaxSide, kMaxSide, kMaxPixels})
          : DecodeJpeg(bytes, {kMaxSide, kMaxSide, kMaxPixels,
                               JpegLimits().max_scans});
  if (absl::IsInvalidArgument(picture.status())) {
    return absl::DataLossError(picture.status().message());
  }
  return picture;
}

absl::Status ResizeCrop(const Picture& picture, const ImageShape& shape,
                        absl::Span<uint8_t> pixels) {
  if (!Consistent(picture) || shape.height < 1 || shape.height != shape.width ||
      pixels.size() != shape.numel()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a picture of ", picture.shape.width, "x", picture.shape.height,
        " pixels, ", picture.pixels.size(), " bytes, for ", pixels.size(),
        " bytes of ", shape.width, "x", shape.height, " pixels"));
  }
  if (picture.shape.channels != shape.channels) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the picture is ", ChannelsName(picture.shape.channels),
        ", the model's images are ", ChannelsName(shape.channels)));
  }
  const int side = shape.height;
  const int shorter = std::min(picture.shape.height, picture.shape.width);
  const ResizedSide y = Centred(picture.shape.height, shorter, side);
  const ResizedSide x = Centred(picture.shape.width, shorter, side);
  const size_t channels = static_cast<size_t>(shape.channels);
  const size_t stride = picture.shape.width * channels;
  if (shorter == side) {
    for (int i = 0; i < side; ++i) {
      std::copy_n(
          picture.pixels.data() + (y.first + i) * stride + x.first * channels,
          side * channels, pixels.data() + i * side * channels);
    }
    return absl::OkStatus();
  }
  const std::vector<float> values =
      TriangleResize(y, x, shape.channels, [&](int i, std::vector<float>* row) {
        const uint8_t* from = picture.pixels.data() + i * stride;
        row->assign(from, from + stride);
      });
  for (size_t i = 0; i < pixels.size(); ++i) {
    // A sum of rounded weights may pass 255 by a rounding.
    pixels[i] = static_cast<uint8_t>(std::min(values[i], 255.0f) + 0.5f);
  }
  return absl::OkStatus();
}

}  // namespace ddgan
