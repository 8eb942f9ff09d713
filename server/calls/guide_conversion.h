// A guide as it is sent to the engine's struct, its picture decoded.
#ifndef DDGAN_SERVER_CALLS_GUIDE_CONVERSION_H_
#define DDGAN_SERVER_CALLS_GUIDE_CONVERSION_H_

#include "absl/status/statusor.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/generation.h"

namespace ddgan {

// The picture is decoded within the default PngLimits, which are those of
// image_generation.proto; 2048x2048 pixels take some 60 ms. What depends on the
// model, steps above its T and a size that is not its own, is left to the
// engine. Pure.
//   InvalidArgument    names the field (guide.png, guide.steps or guide.fit),
//                      the value and the range
//   ResourceExhausted  no memory for the picture
absl::StatusOr<Guide> ConvertGuide(const v1::Guide& guide);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GUIDE_CONVERSION_H_
