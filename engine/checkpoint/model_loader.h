// A verified checkpoint to a model that can run. LibTorch's exceptions stop
// here; this header has none of its types.
#ifndef DDGAN_ENGINE_CHECKPOINT_MODEL_LOADER_H_
#define DDGAN_ENGINE_CHECKPOINT_MODEL_LOADER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {

class Model;  // engine/model/model.h

// float16 weights are widened to float32. `device` is "cpu".
//   InvalidArgument    weights that do not fit the config
//   Unimplemented      another device
//   ResourceExhausted  out of memory
//   Internal           any other error of LibTorch
// Thread-safe.
absl::StatusOr<std::shared_ptr<const Model>> LoadModel(
    const Checkpoint& checkpoint, const std::string& device);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_MODEL_LOADER_H_
