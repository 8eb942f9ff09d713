#include "trainer/dataset/encoded/webp_decoder.h"

#include <webp/decode.h>

#include <new>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

absl::Status ErrorOf(VP8StatusCode code) {
  switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return absl::ResourceExhaustedError("decoding WebP: out of memory");
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return absl::InvalidArgumentError(
          "damaged WebP file: it ends before the picture does");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return absl::InvalidArgumentError(
          "damaged WebP file: it asks for what the format does not have");
    default:
      return absl::InvalidArgumentError("damaged WebP file");
  }
}

}  // namespace

bool IsWebp(std::string_view bytes) {
  return bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP");
}

absl::StatusOr<WebpPicture> DecodeWebp(std::string_view bytes,
                                       int64_t max_pixels) {
  if (!IsWebp(bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "these ", bytes.size(), " bytes do not begin as a WebP file does"));
  }
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) {
    return absl::InternalError("libwebp is of another version than its header");
  }
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  VP8StatusCode code = WebPGetFeatures(data, bytes.size(), &config.input);
  if (code != VP8_STATUS_OK) return ErrorOf(code);
  const int width = config.input.width;
  const int height = config.input.height;
  if (config.input.has_animation) {
    return absl::FailedPreconditionError("an animated WebP file");
  }
  // Each side has at most 14 bits in the format.
  if (int64_t{width} * height > max_pixels) {
    return absl::FailedPreconditionError(
        absl::StrCat("a WebP file of ", width, "x", height,
                     " pixels, allowed are ", max_pixels, " in all"));
  }
  WebpPicture result;
  result.has_alpha = config.input.has_alpha != 0;
  result.picture.shape = {3, height, width};
  const size_t pixels = size_t{1} * width * height;
  const size_t channels = result.has_alpha ? 4 : 3;
  std::vector<uint8_t> rows;
  try {
    rows.resize(pixels * channels);
  } catch (const std::bad_alloc&) {
    return ErrorOf(VP8_STATUS_OUT_OF_MEMORY);
  }
  // Multiplied by alpha, colours are those that black behind them would show.
  config.output.colorspace = result.has_alpha ? MODE_rgbA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = rows.data();
  config.output.u.RGBA.stride = static_cast<int>(width * channels);
  config.output.u.RGBA.size = rows.size();
  code = WebPDecode(data, bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (code != VP8_STATUS_OK) return ErrorOf(code);
  if (result.has_alpha) {
    for (size_t i = 0; i < pixels; ++i) {
      for (size_t c = 0; c < 3; ++c) rows[i * 3 + c] = rows[i * 4 + c];
    }
    rows.resize(pixels * 3);
  }
  result.picture.pixels = std::move(rows);
  return result;
}

}  // namespace ddgan
