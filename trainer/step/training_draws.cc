#include "trainer/step/training_draws.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include "engine/diffusion/philox.h"
#include "trainer/step/normal_rows.h"

namespace ddgan {
namespace {

// Streams of a half step, counted from its first. Serving uses those below 16
// (engine/diffusion/philox.h), so that training never sees a served image's
// noise.
enum : uint32_t { kTime, kStepNoise, kNoise, kLatent, kPosterior };
constexpr uint32_t kDiscriminatorStreams = 16;
constexpr uint32_t kGeneratorStreams = 24;

at::Tensor RowIndices(const std::vector<uint32_t>& rows,
                      const at::Device& device) {
  const at::Tensor indices =
      at::empty({static_cast<int64_t>(rows.size())}, at::kLong);
  std::copy(rows.begin(), rows.end(), indices.mutable_data_ptr<int64_t>());
  return indices.to(device);
}

StepDraws EmptyDraws(const DrawShapes& shapes, int64_t rows,
                     const at::Device& device, DrawnTensors drawn) {
  const auto floats = at::TensorOptions(device).dtype(at::kFloat);
  const auto image = [&] {
    return at::empty({rows, shapes.channels, shapes.height, shapes.width},
                     floats);
  };
  const auto half = [&]() -> HalfStepDraws {
    return {at::empty({rows}, floats.dtype(at::kLong)), image(), image(),
            at::empty({rows, shapes.nz}, floats), image()};
  };
  if (drawn == DrawnTensors::kAdversarial) return {half(), half()};
  StepDraws draws;
  draws.generator.t = at::empty({rows}, floats.dtype(at::kLong));
  draws.generator.noise = image();
  return draws;
}

}  // namespace

HalfStepDraws HalfStepDraws::Rows(int64_t first, int64_t count) const {
  const auto cut = [&](const at::Tensor& all) {
    return all.defined() ? all.narrow(0, first, count) : all;
  };
  return {cut(t), cut(step_noise), cut(noise), cut(z), cut(posterior)};
}

TrainingDraws::TrainingDraws(const DrawShapes& shapes, uint64_t seed,
                             const std::vector<uint32_t>& rows,
                             const at::Device& device, DrawnTensors drawn)
    : num_timesteps_(shapes.num_timesteps),
      seed_(seed),
      host_rows_(rows),
      rows_(RowIndices(rows, device)),
      host_t_(at::empty({static_cast<int64_t>(rows.size())}, at::kLong)),
      draws_(EmptyDraws(shapes, rows_.numel(), device, drawn)) {}

const StepDraws& TrainingDraws::Draw(int64_t step) {
  const c10::OptionalDeviceGuard guard(rows_.device());
  if (draws_.discriminator.t.defined()) {
    DrawHalf(static_cast<uint32_t>(step), kDiscriminatorStreams,
             &draws_.discriminator);
  }
  DrawHalf(static_cast<uint32_t>(step), kGeneratorStreams, &draws_.generator);
  return draws_;
}

void TrainingDraws::DrawHalf(uint32_t step, uint32_t first_stream,
                             HalfStepDraws* draws) {
  const uint32_t key[2] = {static_cast<uint32_t>(seed_),
                           static_cast<uint32_t>(seed_ >> 32)};
  int64_t* t = host_t_.mutable_data_ptr<int64_t>();
  for (size_t r = 0; r < host_rows_.size(); ++r) {
    const Philox4 words =
        Philox4x32_10({{0, host_rows_[r], step, first_stream + kTime}}, key);
    // The high word of a product: uniform but for a bias of T / 2^32.
    t[r] = static_cast<int64_t>(uint64_t{words.w[0]} * num_timesteps_ >> 32);
  }
  draws->t.copy_(host_t_);

  const auto fill = [&](uint32_t stream, const at::Tensor& out) {
    if (!out.defined()) return;
    FillNormalRows({seed_, step, first_stream + stream, out.size(0),
                    out.numel() / out.size(0), rows_.const_data_ptr<int64_t>(),
                    out.mutable_data_ptr<float>()},
                   out.device().type());
  };
  fill(kStepNoise, draws->step_noise);
  fill(kNoise, draws->noise);
  fill(kLatent, draws->z);
  fill(kPosterior, draws->posterior);
}

}  // namespace ddgan
