#include "engine/imaging/png_decoder.h"

#include <png.h>

#include <csetjmp>
#include <cstdlib>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// The signature and, with its length, name and checksum, the chunk IHDR.
constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kHeaderStart("\0\0\0\rIHDR", 8);
constexpr size_t kHeaderSize = 33;

struct Header {
  uint32_t width;
  uint32_t height;
  int channels;  // Of the picture to be, 1 or 3.
};

// The numbers that decide how much memory is needed; all else in the header is
// left to libpng.
absl::StatusOr<Header> ReadHeader(std::string_view bytes) {
  if (!bytes.starts_with(kSignature)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "these ", bytes.size(), " bytes do not begin as a PNG file does"));
  }
  if (bytes.size() < kHeaderSize ||
      !bytes.substr(kSignature.size()).starts_with(kHeaderStart)) {
    return absl::InvalidArgumentError(
        "damaged PNG file: it does not begin with a whole IHDR chunk");
  }
  const auto* at = reinterpret_cast<png_const_bytep>(bytes.data());
  constexpr int kColorType = 25;
  return Header{png_get_uint_32(at + 16), png_get_uint_32(at + 20),
                (at[kColorType] & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1};
}

absl::Status CheckSize(const Header& header, const PngLimits& limits) {
  if (header.width >= 1 && header.height >= 1 &&
      header.width <= static_cast<uint32_t>(limits.max_width) &&
      header.height <= static_cast<uint32_t>(limits.max_height) &&
      int64_t{header.width} * header.height <= limits.max_pixels) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a PNG file of ", header.width, "x", header.height,
                   " pixels, allowed are 1x1 to ", limits.max_width, "x",
                   limits.max_height, " and ", limits.max_pixels, " in all"));
}

// What libpng's callbacks reach through their user pointers. No member needs a
// destructor or allocates: callbacks are left by longjmp.
struct ReadState {
  uint8_t* pixels;  // Rows of `stride` bytes.
  size_t stride;
  bool transparent = false;
  bool complete = false;  // Every row was read, and IEND after them.
  bool out_of_memory = false;
  char error[128] = "";
};

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* state = static_cast<ReadState*>(png_get_error_ptr(png));
  const std::string_view text(message);
  const size_t length = text.copy(state->error, sizeof(state->error) - 1);
  state->error[length] = '\0';
  png_longjmp(png, 1);
}

// Chunks that only describe are not parsed, so a warning is about the pixels.
void OnWarning(png_structp png, png_const_charp message) {
  png_error(png, message);
}

png_voidp Allocate(png_structp png, png_alloc_size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) {
    static_cast<ReadState*>(png_get_mem_ptr(png))->out_of_memory = true;
  }
  return memory;
}

void Free(png_structp, png_voidp memory) { std::free(memory); }

// Before the first IDAT.
void OnHeader(png_structp png, png_infop info) {
  static_cast<ReadState*>(png_get_progressive_ptr(png))->transparent =
      (png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) != 0 ||
      png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  png_set_expand(png);
  const png_color_16 black = {};
  png_set_background(png, &black, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
  png_set_scale_16(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  auto* state = static_cast<ReadState*>(png_get_progressive_ptr(png));
  if (png_get_rowbytes(png, info) != state->stride) {
    png_error(png, "rows of an unexpected size");
  }
}

// Once per row; if interlaced once per row and pass, and without `row` where a
// pass has nothing new.
void OnRow(png_structp png, png_bytep row, png_uint_32 y, int /*pass*/) {
  auto* state = static_cast<ReadState*>(png_get_progressive_ptr(png));
  png_progressive_combine_row(png, state->pixels + y * state->stride, row);
}

// After IEND. The compressed data may have ended properly and too early.
void OnEnd(png_structp png, png_infop info) {
  constexpr int kPasses = 7;
  auto* state = static_cast<ReadState*>(png_get_progressive_ptr(png));
  state->complete =
      png_get_interlace_type(png, info) == PNG_INTERLACE_NONE
          ? png_get_current_row_number(png) == png_get_image_height(png, info)
          : png_get_current_pass_number(png) == kPasses;
}

// False if libpng reported an error or a warning. OnError jumps back into this
// frame, so nothing here or in libpng and callbacks below it may need a
// destructor.
//
// The reader that is fed with data, because it stops to inflate after the last
// row; the one that asks for data would inflate all that is left, a thousand
// times the size of the file.
bool ReadImage(png_structp png, png_infop info, std::string_view bytes,
               const PngLimits& limits) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_user_limits(png, limits.max_width, limits.max_height);
  png_set_chunk_malloc_max(png, limits.max_bytes);
  png_set_chunk_cache_max(png, 1);  // Which is none; 0 would be any number.
  // Every chunk but IHDR, PLTE, tRNS, IDAT and IEND is skipped.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_progressive_read_fn(png, png_get_error_ptr(png), OnHeader, OnRow,
                              OnEnd);
  // libpng reads it only; its parameter lacks const.
  png_process_data(png, info,
                   reinterpret_cast<png_bytep>(const_cast<char*>(bytes.data())),
                   bytes.size());
  return true;
}

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("decoding PNG: out of memory");
}

absl::Status ReadPixels(std::string_view bytes, const PngLimits& limits,
                        Picture* picture, bool* transparent) {
  ReadState state;
  state.pixels = picture->pixels.data();
  state.stride = size_t{1} * picture->shape.width * picture->shape.channels;
  png_structp png =
      png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &state, OnError,
                               OnWarning, &state, Allocate, Free);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    return OutOfMemory();
  }
  const bool read = ReadImage(png, info, bytes, limits);
  png_destroy_read_struct(&png, &info, nullptr);
  if (state.out_of_memory) return OutOfMemory();
  if (!read) {
    return absl::InvalidArgumentError(
        absl::StrCat("damaged PNG file: ", state.error));
  }
  if (!state.complete) {
    return absl::InvalidArgumentError(
        "damaged PNG file: it ends before the picture does");
  }
  if (transparent != nullptr) *transparent = state.transparent;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageShape> ReadPngShape(std::string_view bytes,
                                        const PngLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a PNG file of ", bytes.size(),
                     " bytes, allowed are at most ", limits.max_bytes));
  }
  const absl::StatusOr<Header> header = ReadHeader(bytes);
  if (!header.ok()) return header.status();
  if (absl::Status s = CheckSize(*header, limits); !s.ok()) return s;
  return ImageShape{header->channels, static_cast<int>(header->height),
                    static_cast<int>(header->width)};
}

absl::StatusOr<Picture> DecodePng(std::string_view bytes,
                                  const PngLimits& limits, bool* transparent) {
  const absl::StatusOr<ImageShape> shape = ReadPngShape(bytes, limits);
  if (!shape.ok()) return shape.status();
  Picture picture;
  picture.shape = *shape;
  try {
    picture.pixels.resize(shape->numel());
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
  if (absl::Status s = ReadPixels(bytes, limits, &picture, transparent);
      !s.ok())
    return s;
  return picture;
}

}  // namespace ddgan
