#include "engine/model/fused_operators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>

#include <cstdint>

#include "engine/model/fused_gpu.h"
#include "engine/model/generator_plan.h"

namespace ddgan {
namespace {

at::Tensor OnImages(const at::Tensor& channels) {
  return channels.view({channels.dim() == 2 ? channels.size(0) : 1, -1, 1, 1});
}

int64_t ImageStride(const at::Tensor& channels) {
  return channels.dim() == 2 ? channels.stride(0) : 0;
}

template <typename T>
at::Tensor GroupNormOnGpu(const GroupNormPass& pass, const at::Tensor& x,
                          const at::Tensor& scale, const at::Tensor& shift) {
  const c10::OptionalDeviceGuard guard(x.device());
  const at::Tensor y = at::empty_like(x);
  const at::Tensor workspace =
      at::empty({GroupNormWorkspace(pass)}, x.options().dtype(at::kFloat));
  GroupNormGpu(pass, x.const_data_ptr<T>(), scale.const_data_ptr<T>(),
               shift.const_data_ptr<T>(), workspace.mutable_data_ptr<float>(),
               y.mutable_data_ptr<T>());
  return y;
}

template <typename T>
void AddBiasOnGpu(const AddBiasPass& pass, const at::Tensor& x,
                  const at::Tensor& other, const at::Tensor& bias) {
  const c10::OptionalDeviceGuard guard(x.device());
  AddBiasGpu(pass, x.mutable_data_ptr<T>(),
             other.defined() ? other.const_data_ptr<T>() : nullptr,
             bias.const_data_ptr<float>());
}

void CheckImages(const at::Tensor& x) {
  TORCH_CHECK(x.is_contiguous(at::MemoryFormat::ChannelsLast),
              "images must be channels_last");
}

}  // namespace

at::Tensor BiasedGroupNormAct(const at::Tensor& x, const StepBiases* biases,
                              const at::Tensor& scale, const at::Tensor& shift,
                              NormActivation activation) {
  if (!x.is_cuda()) {
    const at::Tensor h =
        biases == nullptr
            ? x
            : x + OnImages(biases->table.index_select(0, biases->t))
                      .to(x.scalar_type());
    return GroupNormAct(h, scale, shift, activation);
  }
  CheckImages(x);
  GroupNormPass pass = {};
  pass.batch = x.size(0);
  pass.pixels = x.size(2) * x.size(3);
  pass.channels = static_cast<int>(x.size(1));
  pass.groups = GroupNormGroups(pass.channels);
  if (biases != nullptr) {
    pass.offsets = biases->table.const_data_ptr<float>();
    pass.offset_stride = biases->table.stride(0);
    pass.t = biases->t.const_data_ptr<int64_t>();
  }
  pass.scale_stride = ImageStride(scale);
  pass.shift_stride = ImageStride(shift);
  pass.silu = activation == NormActivation::kSilu;
  return x.scalar_type() == at::kBFloat16
             ? GroupNormOnGpu<at::BFloat16>(pass, x, scale, shift)
             : GroupNormOnGpu<float>(pass, x, scale, shift);
}

at::Tensor AddBiasInto(at::Tensor x, const at::Tensor& other,
                       const at::Tensor& bias, double factor) {
  if (!x.is_cuda()) {
    if (other.defined()) x.add_(other);
    return x.add_(OnImages(bias)).mul_(factor);
  }
  CheckImages(x);
  if (other.defined()) CheckImages(other);
  const AddBiasPass pass = {x.size(0), x.size(2) * x.size(3),
                            static_cast<int>(x.size(1)),
                            static_cast<float>(factor)};
  if (x.scalar_type() == at::kBFloat16) {
    AddBiasOnGpu<at::BFloat16>(pass, x, other, bias);
  } else {
    AddBiasOnGpu<float>(pass, x, other, bias);
  }
  return x;
}

}  // namespace ddgan
