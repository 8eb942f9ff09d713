// A serving generator's convolutions on a GPU: right, and the same bytes for an
// image in batches of every size.
#include "engine/model/convolutions.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "engine/base/cuda_devices.h"
#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::MaxAbsDifference;

struct ConvCase {
  int64_t channels;
  int64_t out_channels;
  int64_t size;
  int64_t kernel;
  int64_t stride;
  int64_t padding;
};

class CudnnConvolutionsTest
    : public testing::TestWithParam<std::tuple<Precision, ConvCase>> {};

TEST_P(CudnnConvolutionsTest, AreRightAndTheSameForEveryBatchSize) {
  if (CudaDeviceCount() == 0) GTEST_SKIP() << "no GPU";
  const c10::NoGradGuard no_grad;
  const auto& [precision, c] = GetParam();
  const at::ScalarType dtype =
      precision == Precision::kBfloat16 ? at::kBFloat16 : at::kFloat;
  const auto on_gpu = [](const at::Tensor& tensor) {
    return tensor.to(at::kCUDA).contiguous(at::MemoryFormat::ChannelsLast);
  };
  constexpr int64_t kImages = 70;
  const at::Tensor x =
      at::randn({kImages, c.channels, c.size, c.size}).to(dtype);
  const at::Tensor weight =
      (at::randn({c.out_channels, c.channels, c.kernel, c.kernel}) /
       static_cast<double>(c.channels * c.kernel))
          .to(dtype);
  const std::unique_ptr<Convolutions> convolutions =
      NewCudnnConvolutions(precision);
  at::Tensor expected;
  // 16 comes first and decides.
  for (const int64_t batch : {16, 1, 3, 4, 64}) {
    at::Tensor y;
    for (int64_t first = 0; first + batch <= kImages; first += batch) {
      y = convolutions
              ->Run(on_gpu(x.narrow(0, first, batch)), on_gpu(weight), c.stride,
                    c.padding)
              .cpu();
      EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      if (first == 0 && batch == 16) {
        const double rounding = precision == Precision::kFloat32 ? 1e-5 : 2e-2;
        EXPECT_LT(
            MaxAbsDifference(
                y, at::conv2d(x.narrow(0, 0, 16).to(at::kDouble),
                              weight.to(at::kDouble), {}, c.stride, c.padding)),
            rounding);
        expected = y;
      }
      if (first + batch > 16) break;
      EXPECT_TRUE(at::equal(y, expected.narrow(0, first, batch)))
          << "images from " << first << " on in batches of " << batch;
    }
    if (batch > 16) {
      EXPECT_TRUE(at::equal(y.narrow(0, 0, 16), expected)) << batch;
    }
  }
}

std::string Name(
    const testing::TestParamInfo<CudnnConvolutionsTest::ParamType>& info) {
  const auto& [precision, c] = info.param;
  const char* formats[] = {"float32", "tf32", "bfloat16"};
  return std::string(formats[static_cast<int>(precision)]) + "_" +
         std::to_string(c.channels) + "_to_" + std::to_string(c.out_channels) +
         "_at_" + std::to_string(c.size) + "_kernel_" +
         std::to_string(c.kernel);
}

INSTANTIATE_TEST_SUITE_P(
    Cuda, CudnnConvolutionsTest,
    testing::Combine(testing::Values(Precision::kFloat32, Precision::kTf32,
                                     Precision::kBfloat16),
                     testing::Values(ConvCase{3, 128, 32, 3, 1, 1},
                                     ConvCase{1, 16, 17, 3, 2, 0},
                                     ConvCase{12, 20, 8, 3, 1, 1},
                                     ConvCase{128, 128, 32, 3, 1, 1},
                                     ConvCase{384, 128, 32, 3, 1, 1},
                                     ConvCase{512, 256, 4, 3, 1, 1},
                                     ConvCase{256, 768, 16, 1, 1, 0},
                                     ConvCase{128, 3, 32, 3, 1, 1})),
    Name);

}  // namespace
}  // namespace ddgan
