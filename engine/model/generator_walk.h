// The data flow of a generator (MODEL.md 3.2), once, for any way of computing
// its modules: the trainable form in generator.cc and the prepared CPU form in
// cpu_generator.cc.
#ifndef DDGAN_ENGINE_MODEL_GENERATOR_WALK_H_
#define DDGAN_ENGINE_MODEL_GENERATOR_WALK_H_

#include <cstddef>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "engine/model/generator_plan.h"
#include "engine/model/model_config.h"

namespace ddgan {

// Returns the output before tanh for the noisy image `x`. `Modules` has a type
// Value (an image tensor) and, with i the index in plan.modules:
//   Value Conv(size_t i, const Value&)          3x3 convolution
//   Value ResBlock(size_t i, const Value&)      any of the three kinds
//   Value Attention(size_t i, const Value&)
//   Value ConvDown(size_t i, const Value&)      FIR, then strided convolution
//   Value Combine(size_t i, const Value& p, const Value& h)  1x1 conv of p, + h
//   Value NormSilu(size_t i, const Value&)      affine group norm, then SiLU
//   Value Concatenate(const Value&, const Value&)   on channels
//   Value RescaledSum(const Value&, const Value&)   (a + b) / sqrt(2)
//   Value Sum(const Value&, const Value&)
//   Value Upsample(const Value&), Downsample(const Value&)   FIR
template <typename Modules>
typename Modules::Value WalkGenerator(const ModelConfig& config,
                                      const GeneratorPlan& plan,
                                      const typename Modules::Value& x,
                                      Modules& modules) {
  using Value = typename Modules::Value;
  size_t i = 0;
  const auto next_is = [&](ModuleKind kind) {
    return i < plan.modules.size() && plan.modules[i].kind == kind;
  };
  while (next_is(ModuleKind::kLinear)) ++i;  // The time MLP: not on this path.

  const size_t levels = config.ch_mult.size();
  Value h = modules.Conv(i++, x);
  absl::InlinedVector<Value, 64> skips = {h};
  Value pyramid = x;
  for (size_t level = 0; level < levels; ++level) {
    for (int block = 0; block < config.num_res_blocks; ++block) {
      h = modules.ResBlock(i++, h);
      if (next_is(ModuleKind::kAttention)) h = modules.Attention(i++, h);
      skips.push_back(h);
    }
    if (level + 1 == levels) break;
    h = modules.ResBlock(i++, h);
    if (next_is(ModuleKind::kConvDown)) {
      pyramid = modules.RescaledSum(modules.ConvDown(i++, pyramid), h);
      h = pyramid;
    } else if (next_is(ModuleKind::kCombine)) {
      pyramid = modules.Downsample(pyramid);
      h = modules.Combine(i++, pyramid, h);
    }
    skips.push_back(h);
  }

  h = modules.ResBlock(i++, h);
  h = modules.Attention(i++, h);
  h = modules.ResBlock(i++, h);

  const auto output_head = [&] {
    const Value activated = modules.NormSilu(i++, h);
    return modules.Conv(i++, activated);
  };
  const bool output_skip = config.progressive == "output_skip";
  Value output{};
  for (size_t level = levels; level-- > 0;) {
    for (int block = 0; block <= config.num_res_blocks; ++block) {
      h = modules.ResBlock(i++, modules.Concatenate(h, skips.back()));
      skips.pop_back();
    }
    if (next_is(ModuleKind::kAttention)) h = modules.Attention(i++, h);
    if (output_skip) {
      output = level + 1 == levels
                   ? output_head()
                   : modules.Sum(modules.Upsample(output), output_head());
    }
    if (level > 0) h = modules.ResBlock(i++, h);
  }
  return output_skip ? output : output_head();
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_GENERATOR_WALK_H_
