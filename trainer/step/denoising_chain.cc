#include "trainer/step/denoising_chain.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "engine/diffusion/philox.h"
#include "trainer/step/normal_rows.h"

namespace ddgan {

namespace {

// The squared norm of each image, [count] float64 on the CPU.
at::Tensor SquaredNorms(const at::Tensor& images) {
  return images.to(at::kDouble).square().flatten(1).sum(1).cpu();
}

at::Tensor Moved(const LinearUpdate& update, const at::Tensor& x0,
                 const at::Tensor& x, const at::Tensor& noise) {
  const at::Tensor mean = update.x0 * x0 + update.x * x;
  return update.noise == 0 ? mean : mean + update.noise * noise;
}

// Each image by its own norms.
at::Tensor Corrected(const Correction& correction, const at::Tensor& x0,
                     const at::Tensor& x, const at::Tensor& noise) {
  const at::Tensor noise_squares = SquaredNorms(noise);
  const at::Tensor residual_squares = SquaredNorms(x - correction.ac * x0);
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const LinearUpdate update =
        CorrectionUpdate(correction, noise_squares[i].item<double>(),
                         residual_squares[i].item<double>());
    images.push_back(Moved(update, x0.narrow(0, i, 1), x.narrow(0, i, 1),
                           noise.narrow(0, i, 1)));
  }
  return at::cat(images);
}

// A copy of the first `count` on the CPU.
at::Tensor FirstOf(const at::Tensor& images, int64_t count) {
  return images.narrow(0, 0, count)
      .to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true)
      .contiguous();
}

// Samples of indices first .. first + count - 1; the steps of the first `kept`
// of them, which may be none.
DenoisingChain SamplePart(const ChainSource& source, uint64_t seed,
                          int64_t first, int count, int kept,
                          const at::Device& device) {
  const DrawShapes& shapes = source.shapes;
  const auto floats = at::TensorOptions(device).dtype(at::kFloat);
  const auto longs = floats.dtype(at::kLong);
  const at::Tensor indices = at::arange(first, first + count, longs);
  const auto draw = [&](std::vector<int64_t> shape, size_t step,
                        NoiseStream stream) {
    shape.insert(shape.begin(), count);
    const at::Tensor noise = at::empty(shape, floats);
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
  const size_t total = source.plan.size();
  const size_t kept_steps = std::min<size_t>(total, kMaxKeptEvaluations);
  size_t seen = 0;  // Of these.
  at::Tensor x = draw(image, shapes.num_timesteps, NoiseStream::kInitial);
  for (size_t step = total; step-- > 0;) {
    const Evaluation& evaluation = source.plan[step];
    const at::Tensor z = source.is_denoiser
                             ? at::zeros({count, shapes.nz}, floats)
                             : draw({shapes.nz}, step, NoiseStream::kLatent);
    const at::Tensor x0 =
        source.networks.Generate(x, at::full({count}, evaluation.t, longs), z);
    if (total - 1 - step == total * seen / kept_steps) {
      ++seen;
      if (kept > 0) {
        chain.x.push_back(FirstOf(x, kept));
        chain.x0.push_back(FirstOf(x0, kept));
      }
    }
    if (evaluation.corrects()) {
      x = Corrected(evaluation.correction, x0, x,
                    draw(image, step, NoiseStream::kLangevin));
    } else {
      x = Moved(evaluation.update, x0, x,
                evaluation.update.noise == 0
                    ? at::Tensor()
                    : draw(image, step, NoiseStream::kPosterior));
    }
  }
  chain.x.push_back(x.contiguous().cpu());
  return chain;
}

// The parts' tensors of each step, one after the other, taken away from the
// parts: all of them twice would be much. Of some parts there is x_0 alone.
std::vector<at::Tensor> Join(std::vector<DenoisingChain>* parts,
                             std::vector<at::Tensor> DenoisingChain::*member) {
  std::vector<at::Tensor> joined;
  const size_t steps = (parts->front().*member).size();
  for (size_t step = 0; step < steps; ++step) {
    std::vector<at::Tensor> pieces;
    for (DenoisingChain& part : *parts) {
      std::vector<at::Tensor>& own = part.*member;
      // Counted from the end, where every part has x_0.
      if (own.size() + step < steps) continue;
      pieces.push_back(std::move(own[own.size() + step - steps]));
    }
    joined.push_back(at::cat(pieces));
  }
  return joined;
}

}  // namespace

DenoisingChain SampleChain(const ChainSource& source, uint64_t seed,
                           uint32_t first_index, int count, int kept,
                           int at_once, const at::Device& device) {
  const c10::NoGradGuard no_grad;
  const c10::OptionalDeviceGuard guard(device);
  std::vector<DenoisingChain> parts;
  for (int done = 0; done < count; done += at_once) {
    const int some = std::min(at_once, count - done);
    parts.push_back(SamplePart(source, seed, int64_t{first_index} + done, some,
                               std::clamp(kept - done, 0, some), device));
  }
  return {Join(&parts, &DenoisingChain::x), Join(&parts, &DenoisingChain::x0)};
}

}  // namespace ddgan
