#include "trainer/networks/discriminator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/model/time_embedding.h"
#include "engine/model/trained_convolution.h"

namespace ddgan {
namespace {

constexpr double kSlope = 0.2;
// Layers that the reference calls zero-initialised.
constexpr double kNearlyZero = 1e-10;

struct BlockPlan {
  int in;
  int out;
  bool down;
};

std::vector<BlockPlan> PlanBlocks(const DiscriminatorConfig& config) {
  const int n = config.ngf;
  if (config.size == DiscriminatorSize::kSmall) {
    return {{2 * n, 2 * n, false},
            {2 * n, 4 * n, true},
            {4 * n, 8 * n, true},
            {8 * n, 8 * n, true}};
  }
  return {{2 * n, 4 * n, true}, {4 * n, 8 * n, true}, {8 * n, 8 * n, true},
          {8 * n, 8 * n, true}, {8 * n, 8 * n, true}, {8 * n, 8 * n, true}};
}

// t_embed has two linear layers, start_conv one convolution.
constexpr size_t kFirstBlockParameter = 6;
constexpr size_t kParametersPerBlock = 7;

at::Tensor Activate(const at::Tensor& x) { return at::leaky_relu(x, kSlope); }

}  // namespace

std::vector<ParameterPlan> PlanDiscriminator(
    const DiscriminatorConfig& config) {
  std::vector<ParameterPlan> plan;
  const auto add_weight = [&](const std::string& name, int64_t out, int64_t in,
                              int64_t kernel, double scale) {
    std::vector<int64_t> shape = {out, in};
    if (kernel > 0) shape.insert(shape.end(), {kernel, kernel});
    const double fan_out =
        static_cast<double>(out * std::max<int64_t>(kernel * kernel, 1));
    plan.push_back({name + ".weight",
                    std::move(shape),
                    {.bound = std::sqrt(3 * scale / fan_out)}});
  };
  const auto add_bias = [&](const std::string& name, int64_t out) {
    plan.push_back({name + ".bias", {out}, {}});
  };
  const auto add = [&](const std::string& name, int64_t out, int64_t in,
                       int64_t kernel, double scale = 1) {
    add_weight(name, out, in, kernel, scale);
    add_bias(name, out);
  };

  const int64_t time = config.t_emb_dim;
  add("t_embed.main.0", time, time, 0);
  add("t_embed.main.2", time, time, 0);
  const std::vector<BlockPlan> blocks = PlanBlocks(config);
  add("start_conv", blocks[0].in, 2 * config.num_channels, 1);
  for (size_t k = 0; k < blocks.size(); ++k) {
    const std::string prefix = absl::StrCat("conv", k + 1);
    add(prefix + ".conv1.0", blocks[k].out, blocks[k].in, 3);
    add(prefix + ".conv2.0", blocks[k].out, blocks[k].out, 3, kNearlyZero);
    add(prefix + ".dense_t1", blocks[k].out, time, 0);
    add_weight(prefix + ".skip.0", blocks[k].out, blocks[k].in, 1, 1);
  }
  const int64_t width = blocks.back().out;
  add("final_conv", width, width + 1, 3,
      config.size == DiscriminatorSize::kSmall ? kNearlyZero : 1);
  add("end_linear", 1, width, 0);
  return plan;
}

Discriminator::Discriminator(const DiscriminatorConfig& config,
                             Parameters parameters)
    : config_(config),
      parameters_(std::move(parameters)),
      fir_(config.fir_kernel) {}

at::Tensor Discriminator::Block(const std::string& name, size_t first,
                                bool down, const at::Tensor& x,
                                const at::Tensor& time,
                                const ModuleHook& hook) const {
  const auto p = [&](size_t k) -> const at::Tensor& {
    return parameters_[first + k];
  };
  at::Tensor h =
      SameConvolution(Activate(x), p(0), p(1) + at::linear(time, p(4), p(5)));
  h = Activate(h);
  at::Tensor skip = x;
  if (down) {
    h = FirDownsample(h, fir_);
    skip = FirDownsample(skip, fir_);
  }
  h = SameConvolution(h, p(2), p(3));
  at::Tensor out = RescaledSum(h, SameConvolution(skip, p(6)));
  if (hook) hook(name, out);
  return out;
}

at::Tensor Discriminator::Forward(const at::Tensor& x, const at::Tensor& t,
                                  const at::Tensor& x_next,
                                  const ModuleHook& hook) const {
  const auto report = [&](const char* name, const at::Tensor& value) {
    if (hook) hook(name, value);
  };
  const at::Tensor embedding =
      SinusoidalEmbedding(t, config_.t_emb_dim).to(parameters_[0].options());
  at::Tensor time = at::linear(
      Activate(at::linear(embedding, parameters_[0], parameters_[1])),
      parameters_[2], parameters_[3]);
  report("t_embed", time);
  time = Activate(time);

  const at::Tensor input =
      at::cat({x, x_next}, 1).contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor h = SameConvolution(input, parameters_[4], parameters_[5]);
  report("start_conv", h);
  size_t first = kFirstBlockParameter;
  const std::vector<BlockPlan> blocks = PlanBlocks(config_);
  for (size_t k = 0; k < blocks.size(); ++k) {
    h = Block(absl::StrCat("conv", k + 1), first, blocks[k].down, h, time,
              hook);
    first += kParametersPerBlock;
  }
  h = SameConvolution(AppendMinibatchStddev(h), parameters_[first],
                      parameters_[first + 1]);
  report("final_conv", h);
  h = Activate(h).sum({2, 3});
  h = at::linear(h, parameters_[first + 2], parameters_[first + 3]);
  report("end_linear", h);
  return h;
}

at::Tensor AppendMinibatchStddev(const at::Tensor& features) {
  const int64_t batch = features.size(0);
  const int64_t group = std::min<int64_t>(batch, 4);
  TORCH_CHECK(batch % group == 0, "minibatch standard deviation: batch ", batch,
              " is neither at most 4 nor a multiple of 4");
  // Members of group m are samples m, m + M, m + 2M, ...
  const at::Tensor y = features.reshape({group, batch / group, features.size(1),
                                         features.size(2), features.size(3)});
  const at::Tensor deviation =
      ((y - y.mean(0, /*keepdim=*/true)).square().mean(0) + 1e-8).sqrt();
  const at::Tensor per_group = deviation.mean({1, 2, 3});
  const at::Tensor channel =
      per_group.repeat({group})
          .view({batch, 1, 1, 1})
          .expand({batch, 1, features.size(2), features.size(3)});
  return at::cat({features, channel}, 1);
}

}  // namespace ddgan
