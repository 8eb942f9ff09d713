// The rows' kernels of every device against philox.h and the formulas.
#include "engine/lanes/gpu/device_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/base/cuda_devices.h"
#include "engine/diffusion/philox.h"
#include "engine/kernels/normal_noise.h"

namespace ddgan {
namespace {

// Elements of one image and of one latent; neither is a multiple of four.
constexpr int64_t kNumel = 3 * 9 * 9;
constexpr int64_t kLatent = 13;

class DeviceOpsTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam() && CudaDeviceCount() == 0) GTEST_SKIP() << "no GPU";
    ops_ = GetParam() ? *NewCudaOps(0) : NewCpuOps();
  }

  at::TensorOptions Options(at::ScalarType dtype) const {
    return at::dtype(dtype).device(ops_->device());
  }

  // A row's buffers on the device, and where its results are looked at.
  struct Rows {
    at::Tensor rows, x_next, t, z, x0, x, not_finite, squares;
    RowBuffers buffers;
  };

  Rows MakeRows(std::vector<DeviceRow> rows) {
    const int64_t count = static_cast<int64_t>(rows.size());
    const int64_t bytes = count * static_cast<int64_t>(sizeof(DeviceRow));
    Rows made;
    // On the lane's stream, as everything that the lane uses.
    ops_->Run([&] {
      made.rows = at::from_blob(rows.data(), {bytes}, at::kByte)
                      .clone()
                      .to(ops_->device());
      made.x_next = at::full({count, kNumel}, 0.75, Options(at::kFloat));
      made.t = at::zeros({count}, Options(at::kLong));
      made.z = at::zeros({count, kLatent}, Options(at::kFloat));
      made.x0 = at::full({count, kNumel}, 0.25, Options(at::kFloat));
      made.x = at::zeros({count, kNumel}, Options(at::kFloat));
      made.not_finite = at::full({count}, 7, Options(at::kInt));
      made.squares = at::zeros({count, 2}, Options(at::kDouble));
    });
    made.buffers = {count,
                    kNumel,
                    kLatent,
                    static_cast<const DeviceRow*>(made.rows.const_data_ptr()),
                    made.x_next.mutable_data_ptr<float>(),
                    made.t.mutable_data_ptr<int64_t>(),
                    made.z.mutable_data_ptr<float>(),
                    made.x0.const_data_ptr<float>(),
                    made.x.mutable_data_ptr<float>(),
                    made.not_finite.mutable_data_ptr<int32_t>(),
                    made.squares.mutable_data_ptr<double>()};
    return made;
  }

  static std::vector<float> Noise(const NoiseKey& key, int64_t count) {
    std::vector<float> noise(count);
    kernels::FillNormal(key, count, noise.data());
    return noise;
  }

  // Accurate functions on both sides, so only their rounding may differ.
  static constexpr float kRounding = 2e-6f;

  std::unique_ptr<DeviceOps> ops_;
};

TEST_P(DeviceOpsTest, StartDrawsTheNoiseOfPhilox) {
  const at::Tensor picture =
      at::linspace(-1, 1, kNumel, at::kFloat).to(ops_->device());
  const float* from = picture.const_data_ptr<float>();
  const uint64_t seed = 0x123456789abcdefull;
  Rows rows = MakeRows({{.seed = seed,
                         .image_index = 5,
                         .step = 3,
                         .t = 30,
                         .start_word = 1000,
                         .noise_scale = 1,
                         .latent_scale = 1},
                        {.seed = seed,
                         .image_index = 6,
                         .step = 1,
                         .t = 10,
                         .start_word = 2,
                         .from = from,
                         .from_scale = 0.5f,
                         .noise_scale = 0.75f,
                         .latent_scale = 1},
                        {.seed = seed,
                         .image_index = 7,
                         .step = 2,
                         .t = 20,
                         .from = from,
                         .from_scale = 1,
                         .latent_scale = 0}});
  ops_->Run([&] { ops_->StartRows(rows.buffers); });

  const at::Tensor x_next = rows.x_next.cpu(), z = rows.z.cpu(),
                   guide = picture.cpu();
  const std::vector<float> initial =
      Noise({seed, 5, 1000, NoiseStream::kInitial}, kNumel);
  const std::vector<float> diffusing =
      Noise({seed, 6, 2, NoiseStream::kGuide}, kNumel);
  for (int64_t i = 0; i < kNumel; ++i) {
    const float g = guide[i].item<float>();
    EXPECT_NEAR(x_next[0][i].item<float>(), initial[i], kRounding) << i;
    EXPECT_NEAR(x_next[1][i].item<float>(), 0.5f * g + 0.75f * diffusing[i],
                kRounding)
        << i;
    EXPECT_EQ(x_next[2][i].item<float>(), g) << i;
  }
  for (uint32_t r = 0; r < 3; ++r) {
    const uint32_t step = std::vector<uint32_t>({3, 1, 2})[r];
    EXPECT_EQ(rows.t[r].item<int64_t>(), 10 * step);
    EXPECT_EQ(rows.not_finite[r].item<int32_t>(), 0);
    const std::vector<float> latent =
        Noise({seed, 5 + r, step, NoiseStream::kLatent}, kLatent);
    for (int64_t i = 0; i < kLatent; ++i) {
      // The last row's latent is 0, as a denoiser's.
      EXPECT_NEAR(z[r][i].item<float>(), r == 2 ? 0 : latent[i], kRounding)
          << i;
    }
  }
}

TEST_P(DeviceOpsTest, FinishIsThePosteriorAndWritesTheSlot) {
  at::Tensor slot;
  ops_->Run([&] { slot = at::zeros({kNumel}, Options(at::kFloat)); });
  Rows rows = MakeRows({{.seed = 9,
                         .image_index = 1,
                         .step = 2,
                         .update = {0.5f, 0.25f, 0.125f},
                         .to = slot.mutable_data_ptr<float>()},
                        {.seed = 9, .image_index = 1, .update = {1, 0, 0}}});
  ops_->Run([&] { ops_->FinishRows(rows.buffers); });
  const std::vector<float> noise =
      Noise({9, 1, 2, NoiseStream::kPosterior}, kNumel);
  const at::Tensor x = rows.x.cpu();
  for (int64_t i = 0; i < kNumel; ++i) {
    EXPECT_NEAR(x[0][i].item<float>(),
                0.5f * 0.25f + 0.25f * 0.75f + 0.125f * noise[i], kRounding);
    EXPECT_EQ(x[1][i].item<float>(), 0.25f);
  }
  EXPECT_TRUE(at::equal(slot.cpu(), x[0]));
}

TEST_P(DeviceOpsTest, FinishMeasuresACorrection) {
  const Correction correction = {0.5f, 0.75f, 0.4375f};
  Rows rows = MakeRows(
      {{.seed = 9, .update = {0.5f, 0.25f, 0}},
       {.seed = 9, .image_index = 1, .step = 6, .correction = correction}});
  ops_->Run([&] { ops_->FinishRows(rows.buffers); });
  const std::vector<float> noise =
      Noise({9, 1, 6, NoiseStream::kLangevin}, kNumel);
  double noise_square = 0;
  for (const float n : noise) noise_square += double{n} * n;
  // The spec's formula; every value of the state is 0.75 and of x0' 0.25.
  const double residual = 0.75 - 0.75 * 0.25;
  const double score = -residual / 0.4375;
  const double score_norm = std::abs(score) * std::sqrt(1.0 * kNumel);
  const double ratio = 0.16 * std::sqrt(noise_square) / score_norm;
  const double eps = 2 * 0.5 * ratio * ratio;
  const at::Tensor x = rows.x.cpu();
  for (int64_t i = 0; i < kNumel; ++i) {
    EXPECT_NEAR(x[1][i].item<float>(),
                0.75 + eps * score + std::sqrt(2 * eps) * noise[i], kRounding);
    EXPECT_NEAR(x[0][i].item<float>(), 0.5f * 0.25f + 0.25f * 0.75f, kRounding);
  }
}

TEST_P(DeviceOpsTest, FinishMarksExactlyTheRowsThatAreNotFinite) {
  const DeviceRow row = {.seed = 1, .noise_scale = 1, .update = {1, 0, 0}};
  Rows rows = MakeRows({row, row, row, row});
  ops_->Run([&] {
    rows.x0[1][kNumel - 1] = std::numeric_limits<float>::quiet_NaN();
    rows.x0[3][0] = std::numeric_limits<float>::infinity();
    ops_->StartRows(rows.buffers);
    ops_->FinishRows(rows.buffers);
  });
  const int32_t expected[] = {0, 1, 0, 1};
  for (int r = 0; r < 4; ++r) {
    EXPECT_EQ(rows.not_finite[r].item<int32_t>(), expected[r]) << r;
  }
}

TEST_P(DeviceOpsTest, ToRgb8ConvertsABatchInPlace) {
  const at::Tensor images = at::linspace(-1.1, 1.1, 4 * kNumel, at::kFloat)
                                .view({4, 3, 9, 9})
                                .to(ops_->device());
  const at::Tensor rows = at::empty({4, 9, 9, 3}, Options(at::kByte));
  ops_->Run([&] { ops_->ToRgb8(images, rows); });
  const at::Tensor expected = images.cpu()
                                  .clamp(-1, 1)
                                  .add(1)
                                  .mul(127.5)
                                  .add(0.5)
                                  .floor()
                                  .to(at::kByte)
                                  .permute({0, 2, 3, 1});
  EXPECT_TRUE(at::equal(rows.cpu(), expected));
}

TEST_P(DeviceOpsTest, ARecordingReadsItsInputsAnewEachTime) {
  at::Tensor from, to;
  std::unique_ptr<DeviceOps::Recording> recording;
  ops_->Run([&] {
    from = at::full({8}, 1, Options(at::kFloat));
    to = at::zeros({8}, Options(at::kFloat));
    recording =
        ops_->Record(Precision::kFloat32, nullptr, [&] { to.copy_(from * 2); });
  });
  for (const float value : {3.0f, 5.0f}) {
    EXPECT_GE(ops_->Run([&] {
      from.fill_(value);
      recording->Replay();
    }),
              absl::ZeroDuration());
    EXPECT_EQ(to[7].item<float>(), 2 * value);
  }
}

TEST_P(DeviceOpsTest, NeighboursShareMemoryAndReplayInAnyOrder) {
  at::Tensor from, sums;
  std::unique_ptr<DeviceOps::Recording> large, small;
  ops_->Run([&] {
    from = at::full({1 << 20}, 1, Options(at::kFloat));
    sums = at::zeros({2}, Options(at::kFloat));
    large = ops_->Record(Precision::kFloat32, nullptr, [&] {
      sums.narrow(0, 0, 1).copy_((from * 2).square().sum());
    });
    small = ops_->Record(Precision::kFloat32, large.get(), [&] {
      sums.narrow(0, 1, 1).copy_(
          (from.narrow(0, 0, 1 << 10) * 3).square().sum());
    });
  });
  for (const bool large_first : {true, false, true}) {
    ops_->Run([&] {
      sums.zero_();
      (large_first ? large : small)->Replay();
      (large_first ? small : large)->Replay();
    });
    EXPECT_EQ(sums[0].item<float>(), 4 << 20);
    EXPECT_EQ(sums[1].item<float>(), 9 << 10);
  }
  // The one that made the memory may go first.
  large.reset();
  ops_->Run([&] {
    sums.zero_();
    small->Replay();
  });
  EXPECT_EQ(sums[1].item<float>(), 9 << 10);
}

TEST_P(DeviceOpsTest, RunPassesOnWhatItsWorkThrows) {
  EXPECT_THROW(ops_->Run([] { throw std::runtime_error("from the work"); }),
               std::runtime_error);
}

std::string DeviceName(const testing::TestParamInfo<bool>& info) {
  return info.param ? "cuda" : "cpu";
}

INSTANTIATE_TEST_SUITE_P(Cpu, DeviceOpsTest, testing::Values(false),
                         DeviceName);
INSTANTIATE_TEST_SUITE_P(Cuda, DeviceOpsTest, testing::Values(true),
                         DeviceName);

TEST(NewCudaOpsTest, RefusesAGpuThatIsNotThere) {
  const absl::Status status = NewCudaOps(CudaDeviceCount()).status();
  EXPECT_TRUE(status.code() == absl::StatusCode::kUnimplemented ||
              status.code() == absl::StatusCode::kFailedPrecondition)
      << status;
}

}  // namespace
}  // namespace ddgan
