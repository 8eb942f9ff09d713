// JPEG bytes from a stranger to 8-bit rows, with libjpeg-turbo. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_JPEG_DECODER_H_
#define DDGAN_TRAINER_DATASET_ENCODED_JPEG_DECODER_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"

namespace ddgan {

// What a JPEG may ask for. Checked before anything of its size is allocated.
struct JpegLimits {
  // Of what is decoded: each side in pixels, at least 1, and both multiplied. A
  // larger picture of one scan is decoded at a half, a quarter or an eighth of
  // its size, the largest of them that fits.
  int max_side = 16384;
  int64_t max_pixels = int64_t{1} << 25;
  // Of what may be decoded at reduced size: width times height in the file.
  int64_t max_file_pixels = int64_t{1} << 28;
  // Passes over a progressive picture. Encoders write about 10; a small file of
  // thousands would keep a processor busy for minutes.
  int max_scans = 100;
};

// Baseline and progressive, Huffman and arithmetic coding, of 8 bits. Gray
// gives 1 channel; YCbCr and RGB give 3. Chroma is upsampled with libjpeg's
// triangle filter and the inverse DCT is the accurate one of whole numbers, so
// equal bytes give equal pixels on any machine, those that PIL gives too.
//
// The pixels are given as they are stored: the orientation that Exif may ask
// for and colour profiles are ignored. What follows the end marker is ignored.
//
// Bytes of any origin are safe. Held are the picture, and of a progressive one
// its coefficients: 6 bytes per pixel of three channels.
//
// Of what libjpeg warns of, a picture is whole that has bytes too many between
// its parts, an unknown kind of JFIF, Adobe or ICC header, or (of one scan, and
// Huffman coded) lacks nothing but its end marker.
//
// Blocks for as long as decoding takes. Thread-safe.
//   InvalidArgument     not a JPEG, or damaged: anything else that libjpeg
//                       would at least warn of, missing data for one
//   FailedPrecondition  sound as far as its header goes, but over a limit, or
//                       of CMYK or other colours, which are named
//   ResourceExhausted   out of memory
absl::StatusOr<Picture> DecodeJpeg(std::string_view bytes,
                                   const JpegLimits& limits = {});

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_JPEG_DECODER_H_
