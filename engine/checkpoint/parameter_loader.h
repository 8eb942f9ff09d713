// A verified checkpoint's weights as tensors. Unlike model_loader.h, this
// header is for code that knows LibTorch.
#ifndef DDGAN_ENGINE_CHECKPOINT_PARAMETER_LOADER_H_
#define DDGAN_ENGINE_CHECKPOINT_PARAMETER_LOADER_H_

#include "absl/status/statusor.h"
#include "engine/base/stop_check.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/model/generator.h"

namespace ddgan {

// Float32 on the CPU, in the order of the plan's parameters; float16 is
// widened. `networks` are those that the checkpoint was read as.
// InvalidArgument for weights that do not fit the config. Cancelled if
// `stopped`, which is asked before each tensor. Throws c10::Error or
// std::bad_alloc if memory runs out. Thread-safe.
absl::StatusOr<Parameters> LoadParameters(
    const Checkpoint& checkpoint, StopCheck stopped = NeverStop,
    const CheckpointNetworks& networks = {});

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_PARAMETER_LOADER_H_
