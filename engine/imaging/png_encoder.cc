#include "engine/imaging/png_encoder.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <new>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// libpng's own default limit on either side; checked here so that the caller
// reads the numbers and products below cannot overflow.
constexpr int kMaxSide = 1'000'000;

bool IsKeyCharacter(unsigned char c) {
  return (c >= 0x20 && c <= 0x7e) || c >= 0xa1;
}

// PNG specification 11.3.4.2, which calls it keyword. libpng would write a
// mended one and only warn.
bool IsValidKey(std::string_view key) {
  return !key.empty() && key.size() <= 79 && key.front() != ' ' &&
         key.back() != ' ' && key.find("  ") == std::string_view::npos &&
         std::all_of(key.begin(), key.end(), IsKeyCharacter);
}

absl::Status Validate(absl::Span<const uint8_t> pixels, const ImageShape& shape,
                      const PngOptions& options) {
  if (shape.channels != 1 && shape.channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("PNG: ", shape.channels,
                     " channels; 1 (gray) or 3 (RGB) can be written"));
  }
  if (shape.height < 1 || shape.height > kMaxSide || shape.width < 1 ||
      shape.width > kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("PNG: size ", shape.width, "x", shape.height,
                     "; each side must be in [1, ", kMaxSide, "]"));
  }
  const size_t wanted = shape.numel();
  if (pixels.size() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "PNG: ", pixels.size(), " bytes of pixels; ", shape.width, "x",
        shape.height, " with ", shape.channels, " channels has ", wanted));
  }
  if (options.compression_level < 0 || options.compression_level > 9) {
    return absl::InvalidArgumentError(absl::StrCat("PNG: compression_level ",
                                                   options.compression_level,
                                                   "; it must be in [0, 9]"));
  }
  for (const PngText& text : options.text) {
    if (!IsValidKey(text.key)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "PNG: text key '", text.key,
          "'; it must be 1 to 79 printable Latin-1 bytes without leading, "
          "trailing or double spaces"));
    }
    if (text.value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "PNG: the text of key '", text.key, "' contains a zero byte"));
    }
  }
  return absl::OkStatus();
}

// What libpng's callbacks reach through their user pointers. Fixed size: the
// error callback must not allocate.
struct WriteState {
  std::string bytes;
  bool out_of_memory = false;
  char error[128] = "";
};

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* state = static_cast<WriteState*>(png_get_error_ptr(png));
  const std::string_view text(message);
  const size_t length = text.copy(state->error, sizeof(state->error) - 1);
  state->error[length] = '\0';
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

void OnWrite(png_structp png, png_bytep data, size_t size) {
  auto* state = static_cast<WriteState*>(png_get_io_ptr(png));
  try {
    state->bytes.append(reinterpret_cast<const char*>(data), size);
  } catch (const std::bad_alloc&) {  // Must not unwind through C frames.
    state->out_of_memory = true;
  }
  if (state->out_of_memory) png_error(png, "out of memory");
}

void OnFlush(png_structp) {}

// False if libpng reported an error. OnError jumps back into this frame, so
// nothing here or in libpng below it may need a destructor.
bool WriteImage(png_structp png, png_infop info, const uint8_t* pixels,
                const ImageShape& shape, int compression_level,
                absl::Span<const png_text> text) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_compression_level(png, compression_level);
  png_set_IHDR(png, info, shape.width, shape.height, 8,
               shape.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!text.empty()) {
    png_set_text(png, info, text.data(), static_cast<int>(text.size()));
  }
  png_write_info(png, info);
  const size_t stride = size_t{1} * shape.width * shape.channels;
  for (int row = 0; row < shape.height; ++row) {
    png_write_row(png, pixels + row * stride);
  }
  png_write_end(png, info);
  return true;
}

}  // namespace

absl::StatusOr<std::string> EncodePng(absl::Span<const uint8_t> pixels,
                                      const ImageShape& shape,
                                      const PngOptions& options) {
  if (absl::Status valid = Validate(pixels, shape, options); !valid.ok()) {
    return valid;
  }
  std::vector<png_text> chunks;
  chunks.reserve(options.text.size());
  for (const PngText& text : options.text) {
    png_text chunk = {};
    chunk.compression = PNG_TEXT_COMPRESSION_NONE;
    // libpng copies both and changes neither; its struct only lacks const.
    chunk.key = const_cast<char*>(text.key.c_str());
    chunk.text = const_cast<char*>(text.value.c_str());
    chunk.text_length = text.value.size();
    chunks.push_back(chunk);
  }

  WriteState state;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state,
                                            OnError, OnWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_write_struct(&png, nullptr);
    return absl::ResourceExhaustedError("PNG: out of memory");
  }
  png_set_write_fn(png, &state, OnWrite, OnFlush);
  const bool written = WriteImage(png, info, pixels.data(), shape,
                                  options.compression_level, chunks);
  png_destroy_write_struct(&png, &info);
  if (state.out_of_memory) {
    return absl::ResourceExhaustedError("PNG: out of memory");
  }
  if (!written) return absl::InternalError(absl::StrCat("PNG: ", state.error));
  return std::move(state.bytes);
}

}  // namespace ddgan
