// What the page asks for, from JSON to a request for the server. Pure.
#ifndef DDGAN_CLIENT_PLAYGROUND_IMAGE_ORDER_H_
#define DDGAN_CLIENT_PLAYGROUND_IMAGE_ORDER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ddgan/v1/image_generation.pb.h"

namespace ddgan::playground {

// A stream of PNG files with previews, from an object of
//   model    name of the model, at most 64 bytes
//   version  1 or more, in decimal digits as a string; may be left out: the one
//            that is live
//   seed     0 to 2^64 - 1, as a string: JavaScript's numbers end at 2^53
//   count    1 to 64
//   guide    {"png": base64 of at most 1 MiB, "steps": 1 or more}; may be left
//            out. It is resized to the model's size.
// InvalidArgument that names the field and what is wanted. Any other field is
// one, too.
absl::StatusOr<v1::GenerateStreamRequest> ParseImageOrder(
    absl::string_view json);

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_IMAGE_ORDER_H_
