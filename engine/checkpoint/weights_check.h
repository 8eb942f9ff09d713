// Whether a set of tensors is the weights of a given generator.
#ifndef DDGAN_ENGINE_CHECKPOINT_WEIGHTS_CHECK_H_
#define DDGAN_ENGINE_CHECKPOINT_WEIGHTS_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/stop_check.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/model/generator_plan.h"

namespace ddgan {

// A tensor's name and shape, wherever its data is.
struct TensorShape {
  std::string name;
  std::vector<int64_t> shape;
};

// OK if `tensors` are those of `plan` by name and shape, in any order.
// InvalidArgument that names the first few that are missing, of another shape,
// or not part of the plan.
absl::Status CheckTensorShapes(const std::vector<TensorShape>& tensors,
                               const GeneratorPlan& plan);

// The same for a weights file, whose tensors must also be float32 or float16
// and hold no infinity or NaN; InvalidArgument that names the tensor. Cancelled
// if `stopped`.
absl::Status CheckWeights(const SafetensorsView& weights,
                          const GeneratorPlan& plan,
                          StopCheck stopped = NeverStop);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_WEIGHTS_CHECK_H_
