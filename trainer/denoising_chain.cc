#include "trainer/denoising_chain.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>

#include "engine/philox.h"
#include "trainer/normal_rows.h"

namespace ddgan {

DenoisingChain SampleChain(const Networks& networks, const Diffusion& diffusion,
                           const DrawShapes& shapes, uint64_t seed, int count,
                           const at::Device& device) {
  const c10::NoGradGuard no_grad;
  const c10::OptionalDeviceGuard guard(device);
  const auto longs = at::TensorOptions(device).dtype(at::kLong);
  const at::Tensor indices = at::arange(count, longs);
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
  chain.x.push_back(draw(image, shapes.num_timesteps, NoiseStream::kInitial));
  for (int t = shapes.num_timesteps - 1; t >= 0; --t) {
    const at::Tensor steps = at::full({count}, t, longs);
    chain.x0.push_back(networks.Generate(
        chain.x.back(), steps, draw({shapes.nz}, t, NoiseStream::kLatent)));
    chain.x.push_back(
        diffusion.Posterior(chain.x0.back(), chain.x.back(), steps,
                            draw(image, t, NoiseStream::kPosterior)));
  }
  return chain;
}

}  // namespace ddgan
