#include "trainer/dataset/encoded/jpeg_decoder.h"

#include <csetjmp>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/dataset/encoded/jpeg_error.h"

namespace ddgan {
namespace {

constexpr std::string_view kStart = "\xff\xd8\xff";

// Whether all pixels are there in spite of this warning.
bool IsHarmless(j_common_ptr common) {
  switch (common->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_TOO_MUCH_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_BOGUS_ICC:
      return true;
    case JWRN_JPEG_EOF: {
      // Missing pixels are another warning, but where scans may be missing or
      // arithmetic coding, which makes up zeros.
      const auto* info = reinterpret_cast<j_decompress_ptr>(common);
      return info->progressive_mode == FALSE && info->arith_code == FALSE &&
             info->comps_in_scan == info->num_components;
    }
    default:
      return false;
  }
}

// Below 0 is a warning of corrupt data; the others trace.
void OnMessage(j_common_ptr info, int level) {
  if (level < 0 && !IsHarmless(info)) JumpOnJpegError(info);
}

void OnOutput(j_common_ptr) {}

struct ScanLimit {
  jpeg_progress_mgr manager;
  int max_scans;
};

void OnProgress(j_common_ptr info) {
  const auto* limit = reinterpret_cast<const ScanLimit*>(info->progress);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number >
      limit->max_scans) {
    info->err->msg_code = JERR_BAD_PROGRESSION;
    JumpOnJpegError(info);
  }
}

// One decoder at rest or at work. JumpOnJpegError jumps back into the frame of
// the step that runs, so nothing in Start() and Read(), or below them, may need
// a destructor.
class Decoder {
 public:
  explicit Decoder(const JpegLimits& limits) {
    info_.err = jpeg_std_error(&error_.manager);
    error_.manager.error_exit = JumpOnJpegError;
    error_.manager.emit_message = OnMessage;
    error_.manager.output_message = OnOutput;
    scan_limit_.manager.progress_monitor = OnProgress;
    scan_limit_.max_scans = limits.max_scans;
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info_); }

  // Reads the header.
  bool Start(std::string_view bytes) {
    if (setjmp(error_.jump) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.progress = &scan_limit_.manager;
    // A file that has no end is ended by libjpeg, with a warning.
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()),
                 bytes.size());
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  // After Start: decodes at 1/denominator of the size; info() has the output's.
  bool Scale(int denominator) {
    if (setjmp(error_.jump) != 0) return false;
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(denominator);
    info_.out_color_space =
        info_.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_calc_output_dimensions(&info_);
    return true;
  }

  // Whether there is more than one scan, so that every coefficient is held.
  bool HasScans() { return jpeg_has_multiple_scans(&info_) != FALSE; }

  // After Scale: reads all rows, and to the end marker.
  bool Read(uint8_t* pixels) {
    if (setjmp(error_.jump) != 0) return false;
    info_.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info_);
    const size_t stride = size_t{1} * info_.output_width *
                          static_cast<size_t>(info_.output_components);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + info_.output_scanline * stride;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  const jpeg_decompress_struct& info() const { return info_; }

  absl::Status Error() const {
    if (error_.out_of_memory) {
      return absl::ResourceExhaustedError("decoding JPEG: out of memory");
    }
    return absl::InvalidArgumentError(
        absl::StrCat("damaged JPEG file: ", error_.message));
  }

 private:
  // Zeroed: destroying one that was never created does nothing.
  jpeg_decompress_struct info_ = {};
  JpegError error_ = {};
  ScanLimit scan_limit_ = {};
};

absl::Status CheckColours(const jpeg_decompress_struct& info) {
  switch (info.jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_RGB:
    case JCS_YCbCr:
      return absl::OkStatus();
    case JCS_CMYK:
    case JCS_YCCK:
      return absl::FailedPreconditionError(
          "a JPEG file of CMYK colours, allowed are gray and RGB");
    default:
      return absl::FailedPreconditionError(
          absl::StrCat("a JPEG file of ", info.num_components,
                       " channels of no known kind, allowed are gray and RGB"));
  }
}

bool Fits(const jpeg_decompress_struct& info, const JpegLimits& limits) {
  const auto max_side = static_cast<JDIMENSION>(limits.max_side);
  return info.output_width <= max_side && info.output_height <= max_side &&
         int64_t{info.output_width} * info.output_height <= limits.max_pixels;
}

// Sets the largest scale that is within the limits.
absl::Status ChooseScale(const JpegLimits& limits, Decoder* decoder) {
  const jpeg_decompress_struct& info = decoder->info();
  for (const int denominator : {1, 2, 4, 8}) {
    if (!decoder->Scale(denominator)) return decoder->Error();
    if (Fits(info, limits)) return absl::OkStatus();
    if (decoder->HasScans() || int64_t{info.image_width} * info.image_height >
                                   limits.max_file_pixels) {
      break;
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("a JPEG file of ", info.image_width, "x", info.image_height,
                   " pixels, allowed are 1x1 to ", limits.max_side, "x",
                   limits.max_side, " and ", limits.max_pixels, " in all, or ",
                   limits.max_file_pixels, " in one scan"));
}

}  // namespace

absl::StatusOr<Picture> DecodeJpeg(std::string_view bytes,
                                   const JpegLimits& limits) {
  if (!bytes.starts_with(kStart)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "these ", bytes.size(), " bytes do not begin as a JPEG file does"));
  }
  Decoder decoder(limits);
  if (!decoder.Start(bytes)) return decoder.Error();
  const jpeg_decompress_struct& info = decoder.info();
  if (absl::Status s = CheckColours(info); !s.ok()) return s;
  if (absl::Status s = ChooseScale(limits, &decoder); !s.ok()) return s;

  Picture picture;
  picture.shape = {info.output_components, static_cast<int>(info.output_height),
                   static_cast<int>(info.output_width)};
  try {
    picture.pixels.resize(size_t{1} * picture.shape.channels *
                          info.output_height * info.output_width);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("decoding JPEG: out of memory");
  }
  if (!decoder.Read(picture.pixels.data())) return decoder.Error();
  return picture;
}

}  // namespace ddgan
