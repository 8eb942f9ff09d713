// The inputs of a ModelInfer call. Pure functions: this is where bad tensors
// become a sentence that names the input.
#ifndef DDGAN_SERVER_KSERVE_INPUT_TENSORS_H_
#define DDGAN_SERVER_KSERVE_INPUT_TENSORS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "inference/v2.pb.h"

namespace ddgan {

// The noise of the images that the request's inputs ask for, one for each seed:
// 1 to GenerationRequest::kMaxCount. InvalidArgument if an input is missing, is
// there twice or is not known, or if its data type, shape, parameters or
// contents are not those of kInputTensors.
absl::StatusOr<std::vector<ImageNoise>> ReadNoise(
    const inference::ModelInferRequest& request);

}  // namespace ddgan

#endif  // DDGAN_SERVER_KSERVE_INPUT_TENSORS_H_
