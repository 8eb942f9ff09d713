#include "trainer/step/denoising_chain.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "engine/diffusion/philox.h"
#include "trainer/step/normal_rows.h"

namespace ddgan {

namespace {

// Samples first .. first + count - 1.
DenoisingChain SamplePart(const Networks& networks, const Diffusion& diffusion,
                          const DrawShapes& shapes, uint64_t seed, int first,
                          int count, const at::Device& device) {
  const auto longs = at::TensorOptions(device).dtype(at::kLong);
  const at::Tensor indices = at::arange(first, first + count, longs);
  const auto draw = [&](std::vector<int64_t> shape, int step,
                        NoiseStream stream) {
    shape.insert(shape.begin(), count);
    const at::Tensor noise =
        at::empty(shape, at::TensorOptions(device).dtype(at::kFloat));
    FillNormalRows(
        {seed, static_cast<uint32_t>(step), static_cast<uint32_t>(stream),
         count, noise.numel() / count, indices.const_data_ptr<int64_t>(),
         noise.mutable_data_ptr<float>()},
        device.type());
    return noise;
  };
  const std::vector<int64_t> image = {shapes.channels, shapes.height,
                                      shapes.width};
  DenoisingChain chain;
  at::Tensor x = draw(image, shapes.num_timesteps, NoiseStream::kInitial);
  chain.x.push_back(x.cpu());
  for (int t = shapes.num_timesteps - 1; t >= 0; --t) {
    const at::Tensor steps = at::full({count}, t, longs);
    const at::Tensor x0 =
        networks.Generate(x, steps, draw({shapes.nz}, t, NoiseStream::kLatent));
    x = diffusion.Posterior(x0, x, steps,
                            draw(image, t, NoiseStream::kPosterior));
    chain.x0.push_back(x0.contiguous().cpu());
    chain.x.push_back(x.contiguous().cpu());
  }
  return chain;
}

// All parts' tensors of one step, one after the other.
std::vector<at::Tensor> Join(const std::vector<DenoisingChain>& parts,
                             std::vector<at::Tensor> DenoisingChain::*member) {
  std::vector<at::Tensor> joined;
  for (size_t step = 0; step < (parts[0].*member).size(); ++step) {
    std::vector<at::Tensor> pieces;
    for (const DenoisingChain& part : parts)
      pieces.push_back((part.*member)[step]);
    joined.push_back(at::cat(pieces));
  }
  return joined;
}

}  // namespace

DenoisingChain SampleChain(const Networks& networks, const Diffusion& diffusion,
                           const DrawShapes& shapes, uint64_t seed, int count,
                           int at_once, const at::Device& device) {
  const c10::NoGradGuard no_grad;
  const c10::OptionalDeviceGuard guard(device);
  std::vector<DenoisingChain> parts;
  for (int first = 0; first < count; first += at_once) {
    parts.push_back(SamplePart(networks, diffusion, shapes, seed, first,
                               std::min(at_once, count - first), device));
  }
  return {Join(parts, &DenoisingChain::x), Join(parts, &DenoisingChain::x0)};
}

}  // namespace ddgan
