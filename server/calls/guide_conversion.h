// A guide as it is sent to the engine's structs. Pure.
#ifndef DDGAN_SERVER_CALLS_GUIDE_CONVERSION_H_
#define DDGAN_SERVER_CALLS_GUIDE_CONVERSION_H_

#include "absl/status/statusor.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/generation.h"

namespace ddgan {

// All but the picture, of which only the header is read, within the default
// PngLimits: those of image_generation.proto. What depends on the model, steps
// above its T and a size that is not its own, is left to the engine.
//   InvalidArgument  names the field (guide.png, guide.steps or guide.fit), the
//                    value and the range
absl::StatusOr<Guide> ConvertGuide(const v1::Guide& guide);

// The picture; 2048x2048 pixels take some 30 ms.
//   InvalidArgument    names guide.png, and says what is wrong with it: damage,
//                      or transparency that leaves one colour over black
//   ResourceExhausted  no memory for the picture
absl::StatusOr<Picture> DecodeGuide(const v1::Guide& guide);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GUIDE_CONVERSION_H_
