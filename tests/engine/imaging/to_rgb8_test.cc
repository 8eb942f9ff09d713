#include "engine/imaging/to_rgb8.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linspace.h>

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

// One suite for every kind of device: the contract is the same bytes.
class ToRgb8Test : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !at::hasCUDA()) {
      GTEST_SKIP() << "no CUDA device";
    }
  }

  // A ramp through and beyond [-1, 1], so that every byte occurs.
  at::Tensor Ramp(at::IntArrayRef sizes) {
    const int64_t elements = c10::multiply_integers(sizes);
    return at::linspace(-1.1, 1.1, elements, at::kFloat)
        .reshape(sizes)
        .to(GetParam());
  }

  // The definition, in LibTorch's own operations on the CPU.
  static at::Tensor Expected(const at::Tensor& images) {
    return images.cpu()
        .clamp(-1, 1)
        .add(1)
        .mul(127.5)
        .add(0.5)
        .floor()
        .to(at::kByte)
        .permute({0, 2, 3, 1})
        .contiguous();
  }
};

TEST_P(ToRgb8Test, MatchesTheDefinitionInEveryMemoryFormat) {
  for (const int64_t channels : {1, 3}) {
    const at::Tensor images = Ramp({5, channels, 8, 7});
    const at::Tensor strided = Ramp({5, channels, 8, 14}).slice(3, 0, 14, 2);
    for (const at::Tensor& input :
         {images, images.contiguous(at::MemoryFormat::ChannelsLast), strided}) {
      const absl::StatusOr<at::Tensor> rows = ToRgb8(input);
      ASSERT_TRUE(rows.ok()) << rows.status();
      EXPECT_TRUE(rows->is_contiguous());
      EXPECT_EQ(rows->device().type(), GetParam());
      EXPECT_TRUE(at::equal(rows->cpu(), Expected(input)));
    }
  }
}

TEST_P(ToRgb8Test, RefusesWhatIsNoBatchOfImages) {
  const at::TensorOptions options = at::TensorOptions(GetParam());
  for (const at::Tensor& wrong :
       {at::empty({1, 3, 4, 4}, options.dtype(at::kDouble)),
        at::empty({3, 4, 4}, options.dtype(at::kFloat)),
        at::empty({1, 2, 4, 4}, options.dtype(at::kFloat)),
        at::empty({0, 3, 4, 4}, options.dtype(at::kFloat)), at::Tensor()}) {
    const absl::Status status = ToRgb8(wrong).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("wanted float32 [N, 1 or 3, H, W]"));
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, ToRgb8Test, ::testing::Values(at::kCPU));
INSTANTIATE_TEST_SUITE_P(Cuda, ToRgb8Test, ::testing::Values(at::kCUDA));

TEST(ToRgb8DeviceTest, NamesADeviceThatItHasNoVersionFor) {
  const absl::Status status =
      ToRgb8(at::empty({1, 3, 4, 4},
                       at::TensorOptions(at::kMeta).dtype(at::kFloat)))
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("meta"));
}

}  // namespace
}  // namespace ddgan
