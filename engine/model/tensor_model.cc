#include "engine/model/tensor_model.h"

#include <c10/core/GradMode.h>

namespace ddgan {
namespace {

Parameters Move(const Parameters& parameters, c10::Device device,
                c10::ScalarType dtype) {
  Parameters moved;
  moved.reserve(parameters.size());
  for (const at::Tensor& parameter : parameters) {
    const at::Tensor tensor = parameter.detach().to(device, dtype);
    moved.push_back(tensor.dim() == 4
                        ? tensor.contiguous(at::MemoryFormat::ChannelsLast)
                        : tensor);
  }
  return moved;
}

}  // namespace

TensorModel::TensorModel(const Model& model, c10::Device device,
                         Precision precision)
    : dtype_(precision == Precision::kBfloat16 ? at::kBFloat16 : at::kFloat),
      generator_(model.config(), Move(model.parameters(), device, dtype_)) {}

at::Tensor TensorModel::Run(const at::Tensor& x, const at::Tensor& t,
                            const at::Tensor& z) const {
  const c10::NoGradGuard no_grad;
  return generator_.Forward(x.to(dtype_), t, z.to(dtype_));
}

int64_t TensorModel::bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : generator_.parameters()) {
    bytes += static_cast<int64_t>(tensor.nbytes());
  }
  return bytes;
}

}  // namespace ddgan
