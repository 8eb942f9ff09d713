#include "trainer/dataset/encoded/image_decoder.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/imaging/png_decoder.h"
#include "engine/imaging/triangle_resize.h"
#include "trainer/dataset/encoded/jpeg_decoder.h"
#include "trainer/dataset/encoded/webp_decoder.h"

namespace ddgan {
namespace {

constexpr int kMaxSide = 16384;
constexpr int64_t kMaxPixels = int64_t{1} << 25;

constexpr std::string_view kPngStart = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kJpegStart = "\xff\xd8\xff";

// What `bytes` are instead, if that is a format that sets of pictures come in.
const char* OtherFormat(std::string_view bytes) {
  if (bytes.starts_with("GIF8")) return "a GIF picture";
  if (bytes.starts_with("BM")) return "a BMP picture";
  if (bytes.starts_with("II*") || bytes.starts_with("MM")) {
    return "a TIFF picture";
  }
  if (bytes.substr(0, 12).ends_with("ftypavif")) return "an AVIF picture";
  if (bytes.substr(0, 12).ends_with("ftypheic")) return "a HEIC picture";
  return nullptr;
}

absl::Status NotRead(std::string_view bytes) {
  constexpr char kRead[] = "; PNG, JPEG and WebP can be read";
  if (const char* format = OtherFormat(bytes)) {
    return absl::FailedPreconditionError(absl::StrCat(format, kRead));
  }
  if (bytes.empty()) {
    return absl::DataLossError(absl::StrCat("an empty file", kRead));
  }
  return absl::DataLossError(
      absl::StrCat("these ", bytes.size(), " bytes", kRead));
}

// Whether a PNG file has alpha: by its kind of colour, or by the chunk tRNS,
// which stands before the pixels. `bytes` have a whole header.
bool HasAlpha(std::string_view bytes) {
  constexpr size_t kColourAt = 25;
  constexpr size_t kFirstChunk = 8;
  constexpr size_t kAroundData = 12;  // Length, name and checksum.
  constexpr uint8_t kAlpha = 4;
  if ((static_cast<uint8_t>(bytes[kColourAt]) & kAlpha) != 0) return true;
  size_t at = kFirstChunk;
  while (bytes.size() - at >= kAroundData) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) {
      length = length << 8 | static_cast<uint8_t>(bytes[at + i]);
    }
    const std::string_view name = bytes.substr(at + 4, 4);
    if (name == "tRNS") return true;
    if (name == "IDAT" || length > bytes.size() - at - kAroundData) break;
    at += kAroundData + length;
  }
  return false;
}

absl::StatusOr<DecodedImage> DecodePngImage(std::string_view bytes) {
  constexpr int kAny = std::numeric_limits<int>::max();
  const absl::StatusOr<ImageShape> shape = ReadPngShape(
      bytes,
      {kMaxEncodedBytes, kAny, kAny, std::numeric_limits<int64_t>::max()});
  if (!shape.ok()) return shape.status();
  if (shape->width > kMaxSide || shape->height > kMaxSide ||
      int64_t{shape->width} * shape->height > kMaxPixels) {
    return absl::FailedPreconditionError(
        absl::StrCat("a PNG file of ", shape->width, "x", shape->height,
                     " pixels, allowed are 1x1 to ", kMaxSide, "x", kMaxSide,
                     " and ", kMaxPixels, " in all"));
  }
  absl::StatusOr<Picture> picture =
      DecodePng(bytes, {kMaxEncodedBytes, kMaxSide, kMaxSide, kMaxPixels});
  if (!picture.ok()) return picture.status();
  return DecodedImage{*std::move(picture), HasAlpha(bytes)};
}

absl::StatusOr<DecodedImage> DecodeKnown(std::string_view bytes) {
  if (bytes.starts_with(kPngStart)) return DecodePngImage(bytes);
  if (bytes.starts_with(kJpegStart)) {
    absl::StatusOr<Picture> picture =
        DecodeJpeg(bytes, {.max_side = kMaxSide, .max_pixels = kMaxPixels});
    if (!picture.ok()) return picture.status();
    return DecodedImage{*std::move(picture)};
  }
  absl::StatusOr<WebpPicture> webp = DecodeWebp(bytes, kMaxPixels);
  if (!webp.ok()) return webp.status();
  return DecodedImage{std::move(webp->picture), webp->has_alpha};
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
  return bytes.starts_with(kPngStart) || bytes.starts_with(kJpegStart) ||
         IsWebp(bytes);
}

absl::StatusOr<DecodedImage> DecodeImage(std::string_view bytes) {
  if (bytes.size() > kMaxEncodedBytes) {
    return absl::DataLossError(absl::StrCat(
        bytes.size(), " bytes, allowed are at most ", kMaxEncodedBytes));
  }
  if (!IsEncodedImage(bytes)) return NotRead(bytes);
  absl::StatusOr<DecodedImage> image = DecodeKnown(bytes);
  if (absl::IsInvalidArgument(image.status())) {
    return absl::DataLossError(image.status().message());
  }
  return image;
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
