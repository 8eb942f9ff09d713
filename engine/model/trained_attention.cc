#include "engine/model/trained_attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/custom_function.h>

#include "engine/kernels/attention.h"
#include "engine/kernels/attention_gradient.h"
#include "engine/kernels/float_buffer.h"
#include "engine/kernels/thread_pool.h"

namespace ddgan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

at::Tensor ChannelsLast(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

// Runs `image(b, scratch)` for each image of a batch on LibTorch's threads.
template <typename PerImage>
void ForEachImage(int64_t batch, int64_t scratch_count, const PerImage& image) {
  at::parallel_for(0, batch, 1, [&](int64_t begin, int64_t end) {
    const kernels::FloatBuffer scratch = kernels::NewFloatBuffer(scratch_count);
    for (int64_t b = begin; b < end; ++b) image(b, scratch.get());
  });
}

class AttentionFunction : public Function<AttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input) {
    const at::Tensor qkv = ChannelsLast(input);
    const int64_t channels = qkv.size(1) / 3,
                  pixels = qkv.size(2) * qkv.size(3);
    const at::Tensor y =
        at::empty({qkv.size(0), channels, qkv.size(2), qkv.size(3)},
                  qkv.options().memory_format(at::MemoryFormat::ChannelsLast));
    const float* from = qkv.const_data_ptr<float>();
    float* to = y.mutable_data_ptr<float>();
    ForEachImage(qkv.size(0), kernels::AttentionScratch(1, pixels, channels),
                 [&](int64_t b, float* scratch) {
                   kernels::ThreadPool caller(1);
                   kernels::Attend(from + b * pixels * 3 * channels, 1, pixels,
                                   channels, to + b * pixels * channels,
                                   scratch, caller);
                 });
    context->save_for_backward({qkv, y});
    return y;
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor dy = ChannelsLast(gradients[0]);
    const int64_t channels = dy.size(1), pixels = dy.size(2) * dy.size(3);
    const at::Tensor dqkv = at::empty_like(saved[0]);
    const float* qkv = saved[0].const_data_ptr<float>();
    const float* y = saved[1].const_data_ptr<float>();
    const float* dy_data = dy.const_data_ptr<float>();
    float* to = dqkv.mutable_data_ptr<float>();
    ForEachImage(
        dy.size(0), kernels::AttentionGradientScratch(pixels, channels),
        [&](int64_t b, float* scratch) {
          const int64_t image = b * pixels * channels;
          kernels::AttendBackward(qkv + 3 * image, y + image, dy_data + image,
                                  pixels, channels, to + 3 * image, scratch);
        });
    return {dqkv};
  }
};

}  // namespace

at::Tensor SelfAttention(const at::Tensor& qkv) {
  const int64_t batch = qkv.size(0), channels = qkv.size(1) / 3;
  if (qkv.is_cpu() && qkv.scalar_type() == at::kFloat &&
      batch >= at::get_num_threads() &&
      channels % kernels::kAttentionGradientChannels == 0 &&
      !at::autocast::is_autocast_enabled(at::kCPU)) {
    return AttentionFunction::apply(qkv);
  }
  const auto parts = qkv.flatten(2).mT().chunk(3, 2);  // [B, pixels, C] each
  const at::Tensor weights = at::softmax(at::bmm(parts[0], parts[1].mT()), -1);
  return at::bmm(weights, parts[2])
      .mT()
      .reshape({batch, channels, qkv.size(2), qkv.size(3)});
}

}  // namespace ddgan
