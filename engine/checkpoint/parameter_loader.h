// A verified checkpoint's weights as tensors. Unlike model_loader.h, this
// header is for code that knows LibTorch.
#ifndef DDGAN_ENGINE_CHECKPOINT_PARAMETER_LOADER_H_
#define DDGAN_ENGINE_CHECKPOINT_PARAMETER_LOADER_H_

#include "absl/status/statusor.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "engine/model/generator.h"

namespace ddgan {

// Float32 on the CPU, in the order of PlanGenerator(config).parameters; float16
// is widened. InvalidArgument for weights that do not fit the config. Throws
// c10::Error or std::bad_alloc if memory runs out. Thread-safe.
absl::StatusOr<Parameters> LoadParameters(const Checkpoint& checkpoint);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_PARAMETER_LOADER_H_
