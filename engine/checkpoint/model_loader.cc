#include "engine/checkpoint/model_loader.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"

namespace ddgan {
namespace {

absl::StatusOr<Parameters> LoadParameters(const Checkpoint& checkpoint) {
  const absl::StatusOr<SafetensorsView> file =
      ParseSafetensors(checkpoint.weights);
  if (!file.ok()) return file.status();
  Parameters parameters;
  for (const ParameterPlan& plan :
       PlanGenerator(checkpoint.config.model_config).parameters) {
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

}  // namespace

absl::StatusOr<std::shared_ptr<const Model>> LoadModel(
    const Checkpoint& checkpoint, const std::string& device) {
  if (device != "cpu") {
    return absl::UnimplementedError(
        absl::StrCat("device is '", device, "', this build serves on: cpu"));
  }
  const ModelIdentity& identity = checkpoint.identity;
  const auto failed = [&](const char* what) {
    return absl::StrCat(identity.model, "/", identity.version, ": ", what);
  };
  try {
    absl::StatusOr<Parameters> parameters = LoadParameters(checkpoint);
    if (!parameters.ok()) {
      return absl::Status(parameters.status().code(),
                          absl::StrCat(identity.model, "/", identity.version,
                                       ": ", parameters.status().message()));
    }
    const Generator generator(checkpoint.config.model_config,
                              *std::move(parameters));
    return std::make_shared<const Model>(identity, generator);
  } catch (const std::bad_alloc& e) {
    return absl::ResourceExhaustedError(failed("out of memory"));
  } catch (const std::exception& e) {
    return absl::InternalError(failed(e.what()));
  }
}

}  // namespace ddgan
