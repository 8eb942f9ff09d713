// A verified checkpoint to a model that can run. LibTorch's exceptions stop
// here; this header has none of its types.
#ifndef DDGAN_ENGINE_CHECKPOINT_MODEL_LOADER_H_
#define DDGAN_ENGINE_CHECKPOINT_MODEL_LOADER_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "engine/base/stop_check.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/model/model_use.h"

namespace ddgan {

class Model;  // engine/model/model.h

struct LoadedModel {
  std::shared_ptr<const Model> model;
  int64_t bytes = 0;  // Host memory that it holds.
};

// Loads into host memory; a GPU lane makes the copy on its device. float16
// weights are widened to float32.
//   InvalidArgument    weights that do not fit the config
//   ResourceExhausted  out of memory
//   Cancelled          `stopped`, which is asked before each tensor and before
//                      the weights are packed, as a whole, for the lanes
//   Internal           any other error of LibTorch
// Thread-safe.
absl::StatusOr<LoadedModel> LoadModel(const Checkpoint& checkpoint,
                                      ModelUse use,
                                      StopCheck stopped = NeverStop);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_MODEL_LOADER_H_
