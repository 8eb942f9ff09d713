#include "engine/checkpoint/parameter_loader.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/checkpoint/safetensors.h"

namespace ddgan {

absl::StatusOr<Parameters> LoadParameters(const Checkpoint& checkpoint,
                                          StopCheck stopped,
                                          const CheckpointNetworks& networks) {
  const absl::StatusOr<SafetensorsView> file =
      ParseSafetensors(checkpoint.weights);
  if (!file.ok()) return file.status();
  Parameters parameters;
  for (const ParameterPlan& plan :
       networks.plan(checkpoint.config.model_config).parameters) {
    if (auto status = CheckStop(stopped); !status.ok()) return status;
    const TensorView* view = file->Find(plan.name);
    if (view == nullptr || view->shape != plan.shape ||
        (view->dtype != DType::kFloat32 && view->dtype != DType::kFloat16)) {
      return absl::InvalidArgumentError(
          absl::StrCat(plan.name,
                       " is missing, or not of the shape or dtype that the "
                       "config asks for"));
    }
    at::Tensor tensor = at::empty(
        view->shape, view->dtype == DType::kFloat16 ? at::kHalf : at::kFloat);
    std::memcpy(tensor.mutable_data_ptr(), view->data.data(),
                view->data.size());
    parameters.push_back(tensor.to(at::kFloat));
  }
  return parameters;
}

}  // namespace ddgan
