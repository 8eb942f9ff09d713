// A real lane: images must not depend on who else is in a batch.
#include "engine/lanes/cpu/cpu_lane_runner.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/philox.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/normal_noise.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "tests/fakes/visible_parameters.h"

namespace ddgan {
namespace {

std::shared_ptr<const Model> TinyModel(uint64_t seed) {
  const ModelConfig config = SmallRgbConfig();
  return std::make_shared<const Model>(
      ModelIdentity{"tiny", 1, "digest"},
      Generator(config, VisibleParameters(config, seed)));
}

std::unique_ptr<BatchRunner> Runner(int threads) {
  CpuLaneRunnerOptions options;
  options.threads = threads;
  options.max_batch_size = 64;
  options.max_trajectories = 256;
  return *CreateCpuLaneRunner(options);
}

using Pixels = std::vector<uint8_t>;

std::vector<uint8_t> Bytes(absl::Span<const uint8_t> pixels) {
  return {pixels.begin(), pixels.end()};
}

StepRow Row(TrajectoryId id, uint64_t seed, uint32_t index, int step,
            PixelFormat format) {
  StepRow row;
  row.id = id;
  row.seed = seed;
  row.image_index = index;
  row.step = step;
  row.pixel_format = format;
  return row;
}

Pixels Alone(BatchRunner& runner, const std::shared_ptr<const Model>& model,
             uint64_t seed, uint32_t index, PixelFormat format) {
  for (int step = 3; step >= 0; --step) {
    const StepRow row = Row(1'000'000, seed, index, step, format);
    absl::StatusOr<StepOutcome*> outcome = runner.RunStep(model, {&row, 1});
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    if (step == 0) return Bytes((*outcome)->finished.at(0).pixels);
    EXPECT_TRUE((*outcome)->finished.empty());
  }
  return {};
}

class CpuLaneRunnerTest : public testing::TestWithParam<int> {};

TEST_P(CpuLaneRunnerTest, BytesDoNotDependOnTheBatch) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(GetParam());
  const std::unique_ptr<BatchRunner> other = Runner(1);

  // 96 trajectories start at random ticks and are stepped in random order and
  // company.
  struct Trajectory {
    uint64_t seed;
    uint32_t index;
    int step = 3;
  };
  std::map<TrajectoryId, Trajectory> waiting;
  for (TrajectoryId id = 0; id < 96; ++id) {
    waiting[id] = {id / 8, static_cast<uint32_t>(id % 8), 3};
  }
  std::map<TrajectoryId, Pixels> finished;
  std::mt19937 random(5);
  while (!waiting.empty()) {
    std::vector<StepRow> rows;
    for (const auto& [id, trajectory] : waiting) {
      if (rows.size() < 64 && random() % 3 == 0) {
        rows.push_back(Row(id, trajectory.seed, trajectory.index,
                           trajectory.step, PixelFormat::kFloat32));
      }
    }
    if (rows.empty()) continue;
    absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, rows);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    for (const FinishedImage& image : (*outcome)->finished) {
      finished[rows[image.row].id] = Bytes(image.pixels);
    }
    for (const StepRow& row : rows) {
      if (row.step == 0) {
        waiting.erase(row.id);
      } else {
        --waiting[row.id].step;
      }
    }
  }
  ASSERT_EQ(finished.size(), 96u);
  for (const auto& [id, pixels] : finished) {
    EXPECT_EQ(pixels,
              Alone(*other, model, id / 8, id % 8, PixelFormat::kFloat32))
        << id;
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, CpuLaneRunnerTest, testing::Values(1, 2, 3));

// Of -88 the logistic function is a subnormal number, and -88 times that is
// not.
TEST(CpuLaneRunnerSubnormalTest, TheyAreZeroHoweverTheThreadsShareTheWork) {
  const ModelConfig config = SmallRgbConfig();
  const std::vector<ParameterPlan> plan = PlanGenerator(config).parameters;
  Parameters parameters = VisibleParameters(config, 3);
  for (size_t i = 0; i < plan.size(); ++i) {
    if (plan[i].name == "z_transform.1.weight") parameters[i].fill_(0);
    if (plan[i].name == "z_transform.1.bias") parameters[i].fill_(-88);
    if (plan[i].name == "z_transform.3.weight") parameters[i].fill_(1e35);
  }
  const auto model = std::make_shared<const Model>(
      ModelIdentity{"crafted", 1, "digest"}, Generator(config, parameters));
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  const std::vector<float> guide(3 * 16 * 16, 0.5f);
  StepRow rows[] = {Row(1, 5, 0, 0, PixelFormat::kFloat32),
                    Row(2, 5, 1, 0, PixelFormat::kFloat32)};
  for (StepRow& row : rows) row.guide = guide.data();
  // All threads make one image, and each makes one of two.
  std::vector<Pixels> alone;
  for (const StepRow& row : rows) {
    alone.push_back(Bytes(
        runner->RunStep(model, {&row, 1}).value()->finished.at(0).pixels));
  }
  const StepOutcome& together = *runner->RunStep(model, rows).value();
  ASSERT_EQ(together.finished.size(), 2u);
  for (const FinishedImage& image : together.finished) {
    EXPECT_EQ(Bytes(image.pixels), alone[image.row]) << image.row;
  }
}

TEST(CpuLaneRunnerPixelsTest, BytesAreTheFloatsByTheFormula) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(1);
  const Pixels planes = Alone(*runner, model, 9, 2, PixelFormat::kFloat32);
  const Pixels rows = Alone(*runner, model, 9, 2, PixelFormat::kUint8);
  ASSERT_EQ(planes.size(), rows.size() * 4);
  double spread = 0;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t p = 0; p < 256; ++p) {
      float x;
      std::memcpy(&x, planes.data() + (c * 256 + p) * 4, 4);
      const float clamped = std::min(std::max(x, -1.0f), 1.0f);
      EXPECT_EQ(rows[p * 3 + c],
                static_cast<uint8_t>((clamped + 1.0f) * 127.5f + 0.5f));
      spread = std::max(spread, std::abs(static_cast<double>(x)));
    }
  }
  EXPECT_GT(spread, 0.1);  // The image is not empty.
}

TEST(CpuLaneRunnerMemoryTest, CountsWeightsAndImagesInFlight) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(1);
  const StepRow first = Row(1, 5, 0, 3, PixelFormat::kUint8);
  const StepRow second = Row(2, 5, 1, 3, PixelFormat::kUint8);
  const int64_t one =
      runner->RunStep(model, {&first, 1}).value()->device_memory_bytes;
  EXPECT_GT(one, model->bytes());
  const int64_t two =
      runner->RunStep(model, {&second, 1}).value()->device_memory_bytes;
  EXPECT_EQ(two - one, 3 * 16 * 16 * 4);
}

TEST(CpuLaneRunnerMemoryTest, CountsEveryModelThatItRanAndIsStillLoaded) {
  std::shared_ptr<const Model> small = TinyModel(3);
  ModelConfig config = SmallRgbConfig();
  config.image_size = 32;
  auto large = std::make_shared<const Model>(
      ModelIdentity{"large", 1, "digest"},
      Generator(config, VisibleParameters(config, 4)));
  const std::unique_ptr<BatchRunner> runner = Runner(1);
  const auto memory_after = [&](const std::shared_ptr<const Model>& model,
                                TrajectoryId id) {
    const StepRow row = Row(id, 5, 0, 3, PixelFormat::kUint8);
    return runner->RunStep(model, {&row, 1}).value()->device_memory_bytes;
  };
  constexpr int64_t kSmall = 3 * 16 * 16 * 4, kLarge = 3 * 32 * 32 * 4;
  // The first step of each takes memory for intermediate results, too.
  memory_after(small, 1);
  memory_after(large, 2);
  const int64_t both = memory_after(large, 3);
  EXPECT_GT(both, small->bytes() + kSmall + large->bytes() + 2 * kLarge);
  EXPECT_EQ(memory_after(small, 4) - both, kSmall);
  const int64_t small_bytes = small->bytes();
  small.reset();
  // What was for its images serves for others; what was for its intermediate
  // results goes.
  runner->Forget({{TrajectoryId{1}, TrajectoryId{4}}});
  EXPECT_LT(memory_after(large, 5) - both, kSmall + kLarge - small_bytes);
  // Likewise of the largest one.
  runner->Forget({{TrajectoryId{2}, TrajectoryId{3}, TrajectoryId{5}}});
  const int64_t large_bytes = large->bytes();
  large.reset();
  small = TinyModel(3);
  const int64_t small_alone = memory_after(small, 6);
  EXPECT_LT(small_alone, both - large_bytes);
}

TEST(CpuLaneRunnerGuideTest, IsDiffusedByTheForwardProcess) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(1);
  std::vector<float> guide(3 * 16 * 16);
  for (size_t i = 0; i < guide.size(); ++i) {
    guide[i] = static_cast<float>(i % 17) / 8 - 1;
  }
  StepRow row = Row(1, 5, 2, 1, PixelFormat::kFloat32);  // s = 2 steps to run.
  row.guide = guide.data();
  row.preview = true;
  absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, {&row, 1});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_EQ((*outcome)->previews.size(), 1u);

  // The same by hand: x_2 = ac[2] guide + sc[2] n, then one generator step.
  std::vector<float> x2(guide.size()), z(SmallRgbConfig().nz);
  kernels::FillNormal({5, 2, 2, NoiseStream::kGuide}, x2.size(), x2.data());
  const NoiseSchedule& schedule = model->schedule();
  kernels::Diffuse(schedule.ac[2], guide.data(), schedule.sc[2],
                   static_cast<int64_t>(x2.size()), x2.data());
  kernels::FillNormal({5, 2, 1, NoiseStream::kLatent}, z.size(), z.data());
  std::vector<float> x0(guide.size());
  const GeneratorRow by_hand = {
      .x = x2.data(), .t = 1, .z = z.data(), .x0 = x0.data()};
  kernels::Workspace workspace;
  kernels::ThreadPool threads(1);
  model->generator().Run({&by_hand, 1}, workspace, threads);
  std::vector<float> preview(guide.size());
  ASSERT_EQ((*outcome)->previews[0].pixels.size(), preview.size() * 4);
  std::memcpy(preview.data(), (*outcome)->previews[0].pixels.data(),
              preview.size() * 4);
  EXPECT_EQ(preview, x0);

  // And it goes on like any other.
  const StepRow last = Row(1, 5, 2, 0, PixelFormat::kFloat32);
  outcome = runner->RunStep(model, {&last, 1});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ((*outcome)->finished.size(), 1u);
}

TEST(CpuLaneRunnerThreadsTest, LeavesLibTorchOneThread) {
  at::set_num_threads(3);
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  EXPECT_EQ(at::get_num_threads(), 1);
}

TEST(CpuLaneRunnerPreviewTest, ChangesNoByteOfTheImage) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(1);
  Pixels pixels;
  for (int step = 3; step >= 0; --step) {
    StepRow row = Row(1, 5, 0, step, PixelFormat::kFloat32);
    row.preview = step > 0;
    absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, {&row, 1});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ((*outcome)->previews.size(), step > 0 ? 1u : 0u);
    if (step == 0) pixels = Bytes((*outcome)->finished.at(0).pixels);
  }
  EXPECT_EQ(pixels, Alone(*runner, model, 5, 0, PixelFormat::kFloat32));
}

TEST(CpuLaneRunnerErrorTest, AFailedStepMovesNoRow) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  const StepRow good = Row(1, 5, 0, 3, PixelFormat::kUint8);
  ASSERT_TRUE(runner->RunStep(model, {&good, 1}).ok());

  // The second row was never started: the batch is refused as a whole.
  const StepRow mixed[] = {Row(1, 5, 0, 2, PixelFormat::kUint8),
                           Row(2, 5, 1, 2, PixelFormat::kUint8)};
  EXPECT_EQ(runner->RunStep(model, mixed).status().code(),
            absl::StatusCode::kInternal);

  Pixels pixels;
  for (int step = 2; step >= 0; --step) {
    const StepRow row = Row(1, 5, 0, step, PixelFormat::kUint8);
    absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, {&row, 1});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    if (step == 0) pixels = Bytes((*outcome)->finished.at(0).pixels);
  }
  EXPECT_EQ(pixels, Alone(*runner, model, 5, 0, PixelFormat::kUint8));
}

// Three trajectories, all at step 2, of which the second begins with a guide
// that is no picture: its x_t becomes NaN.
TEST(CpuLaneRunnerNotFiniteTest, ARowEndsAloneAndTheOthersKeepTheirBytes) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  const std::vector<float> broken(3 * 16 * 16,
                                  std::numeric_limits<float>::quiet_NaN());
  for (const TrajectoryId id : {1, 3}) {
    const StepRow first =
        Row(id, 5, static_cast<uint32_t>(id), 3, PixelFormat::kUint8);
    ASSERT_TRUE(runner->RunStep(model, {&first, 1}).ok());
  }
  StepRow rows[] = {Row(1, 5, 1, 2, PixelFormat::kUint8),
                    Row(2, 5, 2, 2, PixelFormat::kUint8),
                    Row(3, 5, 3, 2, PixelFormat::kUint8)};
  rows[1].guide = broken.data();
  for (StepRow& row : rows) row.preview = true;
  absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, rows);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ((*outcome)->not_finite, std::vector<size_t>{1});
  ASSERT_EQ((*outcome)->previews.size(), 2u);
  EXPECT_EQ((*outcome)->previews[0].row, 0u);
  EXPECT_EQ((*outcome)->previews[1].row, 2u);

  // It is forgotten.
  const StepRow ended = Row(2, 5, 2, 1, PixelFormat::kUint8);
  EXPECT_EQ(runner->RunStep(model, {&ended, 1}).status().code(),
            absl::StatusCode::kInternal);
  for (int step = 1; step >= 0; --step) {
    const StepRow others[] = {Row(1, 5, 1, step, PixelFormat::kUint8),
                              Row(3, 5, 3, step, PixelFormat::kUint8)};
    outcome = runner->RunStep(model, others);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_TRUE((*outcome)->not_finite.empty());
  }
  ASSERT_EQ((*outcome)->finished.size(), 2u);
  const Pixels first = Bytes((*outcome)->finished[0].pixels);
  const Pixels third = Bytes((*outcome)->finished[1].pixels);
  EXPECT_EQ(first, Alone(*runner, model, 5, 1, PixelFormat::kUint8));
  EXPECT_EQ(third, Alone(*runner, model, 5, 3, PixelFormat::kUint8));
}

TEST(CpuLaneRunnerNotFiniteTest, AtTheLastStepThereIsNoImage) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(1);
  const std::vector<float> broken(3 * 16 * 16,
                                  std::numeric_limits<float>::infinity());
  StepRow row = Row(1, 5, 0, 0, PixelFormat::kFloat32);
  row.guide = broken.data();
  const absl::StatusOr<StepOutcome*> outcome =
      runner->RunStep(model, {&row, 1});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ((*outcome)->not_finite, std::vector<size_t>{0});
  EXPECT_TRUE((*outcome)->finished.empty());
}

TEST(CpuLaneRunnerNotFiniteTest, WeightsThatAreNotFiniteEndEveryRow) {
  const ModelConfig config = SmallRgbConfig();
  Parameters parameters =
      InitialParameters(PlanGenerator(config).parameters, 1);
  parameters.back().fill_(std::numeric_limits<float>::quiet_NaN());
  const auto model = std::make_shared<const Model>(
      ModelIdentity{"broken", 4, ""}, Generator(config, parameters));
  const std::unique_ptr<BatchRunner> runner = Runner(1);
  const StepRow rows[] = {Row(1, 5, 0, 3, PixelFormat::kUint8),
                          Row(2, 5, 1, 3, PixelFormat::kUint8)};
  const absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, rows);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ((*outcome)->not_finite, (std::vector<size_t>{0, 1}));
}

TEST(CpuLaneRunnerErrorTest, RefusesAModelOfGpuLanes) {
  const ModelConfig config = SmallRgbConfig();
  const auto model = std::make_shared<const Model>(
      ModelIdentity{"tiny", 1, "digest"},
      Generator(config, VisibleParameters(config, 3)), ModelUse::kGpuLanes);
  const StepRow row = Row(1, 5, 0, 3, PixelFormat::kUint8);
  EXPECT_EQ(Runner(1)->RunStep(model, {&row, 1}).status().message(),
            "tiny/1 was loaded for GPU lanes only; a CPU lane cannot run it");
}

TEST(CpuLaneRunnerErrorTest, HoldsNoMoreImagesThanItMay) {
  CpuLaneRunnerOptions options;
  options.max_batch_size = 4;
  options.max_trajectories = 4;
  const std::unique_ptr<BatchRunner> runner = *CreateCpuLaneRunner(options);
  const std::shared_ptr<const Model> model = TinyModel(3);
  std::vector<StepRow> rows;
  for (TrajectoryId id = 0; id < 4; ++id) {
    rows.push_back(
        Row(id, 5, static_cast<uint32_t>(id), 3, PixelFormat::kUint8));
  }
  ASSERT_TRUE(runner->RunStep(model, rows).ok());
  const StepRow fifth = Row(9, 5, 9, 3, PixelFormat::kUint8);
  EXPECT_EQ(runner->RunStep(model, {&fifth, 1}).status().code(),
            absl::StatusCode::kResourceExhausted);
  runner->Forget({{TrajectoryId{0}, TrajectoryId{77}}});
  EXPECT_TRUE(runner->RunStep(model, {&fifth, 1}).ok());
}

TEST(CreateCpuLaneRunnerTest, NamesTheOptionThatIsOutOfRange) {
  CpuLaneRunnerOptions options;
  options.threads = 0;
  const absl::Status status = CreateCpuLaneRunner(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "threads is 0, must be in [1, 256]");
}

}  // namespace
}  // namespace ddgan
