// A GPU lane, its step on the CPU and where there is one on a GPU: images must
// not depend on who else is in a batch, and must be those of a CPU lane.
#include "engine/lanes/gpu/gpu_lane_runner.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/base/cuda_devices.h"
#include "engine/diffusion/philox.h"
#include "engine/kernels/normal_noise.h"
#include "engine/lanes/cpu/cpu_lane_runner.h"
#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/gpu/gpu_step_backend.h"
#include "engine/lanes/lane_runner.h"
#include "engine/model/convolutions.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "tests/fakes/visible_parameters.h"
#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Pixels = std::vector<uint8_t>;
using Planes = std::vector<float>;

constexpr size_t kTinyNumel = 3 * 16 * 16;

Parameters TinyParameters(uint64_t seed) {
  return VisibleParameters(SmallRgbConfig(), seed);
}

std::shared_ptr<const Model> TinyModel(uint64_t seed,
                                       ModelUse use = ModelUse::kAllLanes) {
  return std::make_shared<const Model>(
      ModelIdentity{"tiny", 1, "digest"},
      Generator(SmallRgbConfig(), TinyParameters(seed)), use);
}

std::shared_ptr<const Model> GoldenModel(const std::string& name) {
  const golden::Fixture fixture(name);
  const ModelConfig config = golden::ToModelConfig(fixture.Metadata("config"));
  return std::make_shared<const Model>(
      ModelIdentity{name, 1, "digest"},
      Generator(config, fixture.Load("sd.", PlanGenerator(config).parameters)),
      ModelUse::kAllLanes);
}

std::vector<uint8_t> Bytes(absl::Span<const uint8_t> pixels) {
  return {pixels.begin(), pixels.end()};
}

StepRow Row(TrajectoryId id, uint64_t seed, uint32_t index, int step,
            PixelFormat format = PixelFormat::kFloat32) {
  StepRow row;
  row.id = id;
  row.seed = seed;
  row.image_index = index;
  row.step = step;
  row.pixel_format = format;
  return row;
}

// A whole trajectory alone, from a guide picture at `first_step` if there is
// one. Its id is one that nobody else uses.
Pixels Alone(BatchRunner& runner, const std::shared_ptr<const Model>& model,
             StepRow row, const Planes* guide = nullptr) {
  row.id = 1'000'000;
  for (int step = row.step; step >= 0; --step) {
    StepRow now = row;
    now.step = step;
    if (step == row.step && guide != nullptr) now.guide = guide->data();
    absl::StatusOr<StepOutcome*> outcome = runner.RunStep(model, {&now, 1});
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    if (!outcome.ok()) return {};
    if (step == 0) return Bytes((*outcome)->finished.at(0).pixels);
    EXPECT_TRUE((*outcome)->finished.empty());
  }
  return {};
}

Planes ToPlanes(const Pixels& pixels) {
  Planes planes(pixels.size() / sizeof(float));
  std::memcpy(planes.data(), pixels.data(), pixels.size());
  return planes;
}

float LargestDifference(const Planes& a, const Planes& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

// The same image by the formulas of the design page, one image at a time.
class Reference {
 public:
  explicit Reference(const Model& model)
      : model_(model), generator_(model.config(), model.parameters()) {}

  // x_t and x0' of step `row.step`, from x_{t+1}, or from the start of the
  // trajectory if that is empty.
  struct Step {
    Planes x;
    Planes x0;
  };
  Step Run(const StepRow& row, const Planes& x_next) const {
    const c10::NoGradGuard no_grad;
    const ModelConfig& config = model_.config();
    const NoiseSchedule& schedule = model_.schedule();
    const int64_t size = config.image_size;
    const int64_t numel = config.num_channels * size * size;
    const int t = row.step;
    const auto draw = [&](uint32_t step, NoiseStream stream, int64_t count) {
      Planes noise(count);
      kernels::FillNormal({row.seed, row.image_index, step, stream}, count,
                          noise.data());
      return noise;
    };
    Planes from = x_next;
    if (row.guide != nullptr) {
      from = draw(t + 1, NoiseStream::kGuide, numel);
      for (int64_t i = 0; i < numel; ++i) {
        from[i] =
            schedule.ac[t + 1] * row.guide[i] + schedule.sc[t + 1] * from[i];
      }
    } else if (from.empty()) {
      from = draw(config.num_timesteps, NoiseStream::kInitial, numel);
    }
    Planes z = draw(t, NoiseStream::kLatent, config.nz);
    const at::Tensor x0 =
        generator_
            .Forward(at::from_blob(from.data(),
                                   {1, config.num_channels, size, size}),
                     at::full({1}, t, at::kLong),
                     at::from_blob(z.data(), {1, config.nz}))
            .contiguous();
    Step step;
    step.x0.assign(x0.const_data_ptr<float>(),
                   x0.const_data_ptr<float>() + numel);
    const Planes noise = draw(t, NoiseStream::kPosterior, numel);
    step.x.resize(numel);
    for (int64_t i = 0; i < numel; ++i) {
      step.x[i] = schedule.c1[t] * step.x0[i] + schedule.c2[t] * from[i] +
                  schedule.stddev[t] * noise[i];
    }
    return step;
  }

 private:
  const Model& model_;
  const Generator generator_;
};

Planes Picture(size_t numel) {
  Planes picture(numel);
  for (size_t i = 0; i < numel; ++i) {
    picture[i] = std::sin(static_cast<float>(i) * 0.37f);
  }
  return picture;
}

class GpuLaneRunnerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) != "cpu" && CudaDeviceCount() == 0) {
      GTEST_SKIP() << "no GPU";
    }
  }

  static GpuLaneRunnerOptions Options(int pinned_batch) {
    GpuLaneRunnerOptions options;
    options.device = GetParam();
    options.pinned_batch = pinned_batch;
    options.max_batch_size = 64;
    options.max_trajectories = 256;
    return options;
  }

  static std::unique_ptr<BatchRunner> Runner(int pinned_batch) {
    absl::StatusOr<std::unique_ptr<BatchRunner>> runner =
        CreateGpuLaneRunner(Options(pinned_batch));
    EXPECT_TRUE(runner.ok()) << runner.status();
    return *std::move(runner);
  }
};

TEST_P(GpuLaneRunnerTest, PixelsAreThoseOfTheCpuLane) {
  CpuLaneRunnerOptions cpu_options;
  const std::unique_ptr<BatchRunner> cpu = *CreateCpuLaneRunner(cpu_options);
  const std::unique_ptr<BatchRunner> runner = Runner(3);
  for (const auto& model : {TinyModel(3), GoldenModel("gen_small"),
                            GoldenModel("gen_tiny_none_none"),
                            GoldenModel("gen_tiny_outskip_inskip")}) {
    const int first = model->config().num_timesteps - 1;
    for (const uint64_t seed : {uint64_t{7}, uint64_t{1} << 40}) {
      const StepRow floats = Row(0, seed, 2, first);
      const Planes expected = ToPlanes(Alone(*cpu, model, floats));
      EXPECT_LT(
          LargestDifference(ToPlanes(Alone(*runner, model, floats)), expected),
          1e-4)
          << model->identity().model;
      const StepRow bytes = Row(0, seed, 2, first, PixelFormat::kUint8);
      const Pixels expected_bytes = Alone(*cpu, model, bytes);
      const Pixels actual = Alone(*runner, model, bytes);
      ASSERT_EQ(actual.size(), expected_bytes.size());
      for (size_t i = 0; i < actual.size(); ++i) {
        EXPECT_LE(std::abs(actual[i] - expected_bytes[i]), 1) << i;
      }
    }
  }
}

// In 200 random schedules an image takes its steps in batches of 1 to
// `largest_batch` rows, at any position, among rows at any step, some of them
// new, some guided, some with previews.
void ExpectBytesDoNotDependOnTheBatch(const GpuLaneRunnerOptions& options,
                                      int largest_batch) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  absl::StatusOr<std::unique_ptr<BatchRunner>> created =
      CreateGpuLaneRunner(options);
  ASSERT_TRUE(created.ok()) << created.status();
  const std::unique_ptr<BatchRunner> runner = *std::move(created);
  const Planes picture = Picture(kTinyNumel);
  const StepRow drawn = Row(0, 77, 5, 3);
  const StepRow guided = Row(0, 78, 6, 2);
  const Pixels expected_drawn = Alone(*runner, model, drawn);
  const Pixels expected_guided = Alone(*runner, model, guided, &picture);
  ASSERT_NE(expected_drawn, expected_guided);

  std::mt19937 random(5);
  const auto below = [&](int n) { return static_cast<int>(random() % n); };
  TrajectoryId next_id = 1;
  for (int schedule = 0; schedule < 200; ++schedule) {
    const bool with_guide = schedule % 2 == 1;
    const StepRow subject = with_guide ? guided : drawn;
    const TrajectoryId subject_id = next_id++;
    std::vector<StepRow> others;  // As they take their next step.
    Pixels pixels;
    for (int step = subject.step; step >= 0; --step) {
      const size_t size = 1 + below(largest_batch);
      while (others.size() + 1 < size) {
        StepRow other = Row(next_id++, random(), random(), 3);
        if (below(2) == 0) {
          other.step = below(4);
          other.guide = picture.data();
        }
        other.pixel_format =
            below(2) == 0 ? PixelFormat::kUint8 : PixelFormat::kFloat32;
        others.push_back(other);
      }
      std::shuffle(others.begin(), others.end(), random);
      std::vector<StepRow> rows(others.begin(), others.begin() + (size - 1));
      for (StepRow& row : rows) row.preview = row.step > 0 && below(3) == 0;
      StepRow now = subject;
      now.id = subject_id;
      now.step = step;
      now.preview = step > 0 && below(2) == 0;
      if (with_guide && step == subject.step) now.guide = picture.data();
      const size_t position = below(static_cast<int>(size));
      rows.insert(rows.begin() + position, now);

      absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, rows);
      ASSERT_TRUE(outcome.ok()) << outcome.status();
      for (const FinishedImage& image : (*outcome)->finished) {
        EXPECT_EQ(rows[image.row].step, 0);
        if (image.row == position) pixels = Bytes(image.pixels);
      }
      // Those that ran go on.
      for (size_t i = 0; i + 1 < size; ++i) {
        --others[i].step;
        others[i].guide = nullptr;
      }
      std::erase_if(others, [](const StepRow& row) { return row.step < 0; });
    }
    ASSERT_EQ(pixels, with_guide ? expected_guided : expected_drawn)
        << "schedule " << schedule;
    for (const StepRow& row : others) runner->Forget({{row.id}});
  }
}

TEST_P(GpuLaneRunnerTest, BytesDoNotDependOnTheBatch) {
  if (std::string(GetParam()) == "cpu") {
    ExpectBytesDoNotDependOnTheBatch(Options(4), 12);
    return;
  }
  for (const Precision precision :
       {Precision::kFloat32, Precision::kTf32, Precision::kBfloat16}) {
    for (const int pinned_batch : {4, 16}) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(precision)
                                      << " pinned " << pinned_batch);
      GpuLaneRunnerOptions options = Options(pinned_batch);
      options.precision = precision;
      ExpectBytesDoNotDependOnTheBatch(options, 64);
    }
  }
}

TEST_P(GpuLaneRunnerTest, AGuidedTrajectoryFollowsTheFormulas) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const Reference reference(*model);
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  const Planes picture = Picture(kTinyNumel);
  for (int first = 0; first <= 3; ++first) {
    StepRow row = Row(0, 41, 8, first);
    const Planes actual = ToPlanes(Alone(*runner, model, row, &picture));
    Planes expected;
    row.guide = picture.data();
    for (; row.step >= 0; --row.step, row.guide = nullptr) {
      expected = reference.Run(row, expected).x;
    }
    EXPECT_LT(LargestDifference(actual, expected), 1e-4) << first;
    EXPECT_NE(actual, ToPlanes(Alone(*runner, model, Row(0, 41, 8, 3))));
  }
}

TEST_P(GpuLaneRunnerTest, PreviewsAreTheGeneratorsOutput) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const Reference reference(*model);
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  Planes x;
  StepRow rows[3] = {Row(1, 41, 8, 3), Row(2, 42, 0, 3),
                     Row(3, 41, 8, 3, PixelFormat::kUint8)};
  for (int step = 3; step >= 0; --step) {
    for (StepRow& row : rows) {
      row.step = step;
      row.preview = step > 0 && row.id != 2;
    }
    absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, rows);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    const Reference::Step expected = reference.Run(rows[0], x);
    x = expected.x;
    if (step == 0) {
      EXPECT_TRUE((*outcome)->previews.empty());
      EXPECT_EQ((*outcome)->finished.size(), 3u);
      continue;
    }
    EXPECT_TRUE((*outcome)->finished.empty());
    ASSERT_EQ((*outcome)->previews.size(), 2u);
    EXPECT_EQ((*outcome)->previews[0].row, 0u);
    EXPECT_EQ((*outcome)->previews[1].row, 2u);
    const Planes planes = ToPlanes(Bytes((*outcome)->previews[0].pixels));
    EXPECT_LT(LargestDifference(planes, expected.x0), 1e-4);
    const Pixels bytes = Bytes((*outcome)->previews[1].pixels);
    ASSERT_EQ(bytes.size(), planes.size());
    for (size_t c = 0; c < 3; ++c) {
      for (size_t p = 0; p < 256; ++p) {
        const float clamped = std::clamp(planes[c * 256 + p], -1.0f, 1.0f);
        EXPECT_EQ(bytes[p * 3 + c],
                  static_cast<uint8_t>((clamped + 1.0f) * 127.5f + 0.5f));
      }
    }
  }
}

TEST_P(GpuLaneRunnerTest, AFailedStepMovesNoRow) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  const Pixels expected = Alone(*runner, model, Row(0, 5, 0, 3));
  StepRow good = Row(1, 5, 0, 3);
  ASSERT_TRUE(runner->RunStep(model, {&good, 1}).ok());

  // A row that was never started: the batch is refused as a whole.
  const StepRow unknown[] = {Row(1, 5, 0, 2), Row(2, 5, 1, 2)};
  EXPECT_EQ(runner->RunStep(model, unknown).status().code(),
            absl::StatusCode::kInternal);

  Pixels pixels;
  for (good.step = 2; good.step >= 0; --good.step) {
    absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, {&good, 1});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    if (good.step == 0) pixels = Bytes((*outcome)->finished.at(0).pixels);
  }
  EXPECT_EQ(pixels, expected);
}

// Rows of which two begin with guides that are no pictures: their x_t become
// NaN. One of them is the last, which padding computes again.
TEST_P(GpuLaneRunnerTest, RowsThatAreNotFiniteEndAndTheOthersKeepTheirBytes) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(4);
  const Planes broken(kTinyNumel, std::numeric_limits<float>::quiet_NaN());
  const Planes picture = Picture(kTinyNumel);
  const Pixels drawn = Alone(*runner, model, Row(0, 5, 1, 3));
  const Pixels guided = Alone(*runner, model, Row(0, 6, 2, 2), &picture);

  const StepRow first = Row(1, 5, 1, 3);
  ASSERT_TRUE(runner->RunStep(model, {&first, 1}).ok());
  StepRow rows[] = {Row(7, 7, 9, 2), Row(1, 5, 1, 2), Row(2, 6, 2, 2),
                    Row(8, 7, 10, 2), Row(9, 7, 11, 0)};
  rows[0].guide = broken.data();
  rows[2].guide = picture.data();
  rows[3].guide = picture.data();
  rows[4].guide = broken.data();
  for (StepRow& row : rows) row.preview = row.step > 0;
  absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, rows);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT((*outcome)->not_finite, ElementsAre(0, 4));
  EXPECT_THAT((*outcome)->finished, IsEmpty());
  ASSERT_THAT((*outcome)->previews, SizeIs(3));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ((*outcome)->previews[i].row, i + 1);

  // They are forgotten.
  const StepRow ended = Row(7, 7, 9, 1);
  EXPECT_EQ(runner->RunStep(model, {&ended, 1}).status().code(),
            absl::StatusCode::kInternal);
  for (int step = 1; step >= 0; --step) {
    const StepRow others[] = {Row(1, 5, 1, step), Row(2, 6, 2, step)};
    outcome = runner->RunStep(model, others);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_THAT((*outcome)->not_finite, IsEmpty());
  }
  ASSERT_THAT((*outcome)->finished, SizeIs(2));
  EXPECT_EQ(Bytes((*outcome)->finished[0].pixels), drawn);
  EXPECT_EQ(Bytes((*outcome)->finished[1].pixels), guided);
}

TEST_P(GpuLaneRunnerTest, WeightsThatAreNotFiniteEndEveryRow) {
  Parameters parameters = TinyParameters(1);
  parameters.back().fill_(std::numeric_limits<float>::quiet_NaN());
  const auto model = std::make_shared<const Model>(
      ModelIdentity{"broken", 4, ""}, Generator(SmallRgbConfig(), parameters),
      ModelUse::kGpuLanes);
  const StepRow rows[] = {Row(1, 5, 2, 3), Row(2, 5, 3, 3)};
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  const absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, rows);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT((*outcome)->not_finite, ElementsAre(0, 1));
}

TEST_P(GpuLaneRunnerTest, AStartedTrajectoryMayStartAgain) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  const StepRow begun = Row(1'000'000, 5, 0, 3);  // The id that Alone uses.
  ASSERT_TRUE(runner->RunStep(model, {&begun, 1}).ok());
  const Pixels again = Alone(*runner, model, Row(0, 5, 0, 3));
  EXPECT_EQ(again, Alone(*Runner(2), model, Row(0, 5, 0, 3)));
}

TEST_P(GpuLaneRunnerTest, ForgetMakesRoomAndMemoryDoesNotGrow) {
  GpuLaneRunnerOptions options = Options(2);
  options.max_batch_size = 4;
  options.max_trajectories = 4;
  const std::unique_ptr<BatchRunner> runner = *CreateGpuLaneRunner(options);
  const std::shared_ptr<const Model> model = TinyModel(3);
  std::vector<StepRow> rows;
  for (TrajectoryId id = 0; id < 4; ++id) {
    rows.push_back(Row(id, 5, static_cast<uint32_t>(id), 3));
  }
  ASSERT_TRUE(runner->RunStep(model, rows).ok());
  const StepRow fifth = Row(9, 5, 9, 3);
  EXPECT_EQ(runner->RunStep(model, {&fifth, 1}).status().code(),
            absl::StatusCode::kResourceExhausted);
  runner->Forget({{TrajectoryId{0}, TrajectoryId{77}}});
  absl::StatusOr<StepOutcome*> outcome = runner->RunStep(model, {&fifth, 1});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  const int64_t bytes = (*outcome)->device_memory_bytes;
  EXPECT_GT(bytes, 0);
  runner->Forget({{TrajectoryId{1}, TrajectoryId{2}, TrajectoryId{3}}});
  for (TrajectoryId id = 100; id < 130; ++id) {
    const StepRow row = Row(id, 5, 0, 3);
    outcome = runner->RunStep(model, {&row, 1});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_LE((*outcome)->device_memory_bytes, bytes);
    runner->Forget({{id}});
  }
}

TEST_P(GpuLaneRunnerTest, FreesAModelThatNobodyHolds) {
  const std::unique_ptr<BatchRunner> runner = Runner(2);
  std::shared_ptr<const Model> old_model = TinyModel(3);
  const std::shared_ptr<const Model> new_model = TinyModel(4);
  const Pixels expected = Alone(*Runner(2), new_model, Row(0, 5, 0, 3));
  StepRow row = Row(1, 5, 0, 3);
  ASSERT_TRUE(runner->RunStep(old_model, {&row, 1}).ok());
  row.id = 2;
  const int64_t both =
      runner->RunStep(new_model, {&row, 1}).value()->device_memory_bytes;
  old_model.reset();
  EXPECT_EQ(Alone(*runner, new_model, Row(0, 5, 0, 3)), expected);
  row.id = 3;
  const int64_t one =
      runner->RunStep(new_model, {&row, 1}).value()->device_memory_bytes;
  EXPECT_LT(one, both * 2 / 3);
}

TEST_P(GpuLaneRunnerTest, RefusesAModelWithoutPlainWeights) {
  const std::shared_ptr<const Model> model = TinyModel(3, ModelUse::kCpuLanes);
  const StepRow row = Row(1, 5, 0, 3);
  EXPECT_THAT(
      std::string(Runner(2)->RunStep(model, {&row, 1}).status().message()),
      HasSubstr("tiny/1 was loaded for CPU lanes only"));
}

TEST_P(GpuLaneRunnerTest, Bfloat16IsCloseAndEqualInEveryBatch) {
  const std::shared_ptr<const Model> model = TinyModel(3);
  GpuLaneRunnerOptions options = Options(4);
  const std::unique_ptr<BatchRunner> wide = *CreateGpuLaneRunner(options);
  options.precision = Precision::kBfloat16;
  const std::unique_ptr<BatchRunner> narrow = *CreateGpuLaneRunner(options);
  const Pixels alone = Alone(*narrow, model, Row(0, 5, 1, 3));
  const Planes exact = ToPlanes(Alone(*wide, model, Row(0, 5, 1, 3)));
  const float difference = LargestDifference(ToPlanes(alone), exact);
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, 0.25);

  std::vector<StepRow> rows;
  for (TrajectoryId id = 0; id < 7; ++id) {
    rows.push_back(Row(id, 5, static_cast<uint32_t>(id), 3));
  }
  for (int step = 3; step >= 0; --step) {
    for (StepRow& row : rows) row.step = step;
    absl::StatusOr<StepOutcome*> outcome = narrow->RunStep(model, rows);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    if (step == 0) {
      EXPECT_EQ(Bytes((*outcome)->finished.at(1).pixels), alone);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, GpuLaneRunnerTest, testing::Values("cpu"));
INSTANTIATE_TEST_SUITE_P(Cuda, GpuLaneRunnerTest, testing::Values("cuda:0"));

// The CPU, but convolutions of `odd_batch` images are off in the last digit, as
// another order of summation would make them, and those of `refused_batch` do
// not run.
class OddOps : public DeviceOps {
 public:
  OddOps(int64_t odd_batch, int64_t refused_batch,
         std::vector<int64_t>* batches)
      : odd_batch_(odd_batch),
        refused_batch_(refused_batch),
        batches_(batches),
        cpu_(NewCpuOps()) {}

  c10::Device device() const override { return cpu_->device(); }
  at::Tensor HostMemory(int64_t bytes) const override {
    return cpu_->HostMemory(bytes);
  }
  absl::Duration Run(absl::FunctionRef<void()> work) override {
    work();
    return absl::Milliseconds(1);
  }
  std::unique_ptr<Recording> Record(Precision precision,
                                    const Recording* neighbour,
                                    std::function<void()> work) override {
    return cpu_->Record(precision, neighbour, std::move(work));
  }
  std::unique_ptr<Convolutions> NewConvolutions(Precision precision) override {
    class OddConvolutions : public Convolutions {
     public:
      OddConvolutions(const OddOps& ops, std::unique_ptr<Convolutions> cpu)
          : ops_(ops), cpu_(std::move(cpu)) {}
      at::Tensor Run(const at::Tensor& x, const at::Tensor& weight,
                     int64_t stride, int64_t padding) override {
        const int64_t batch = x.size(0);
        TORCH_CHECK(batch != ops_.refused_batch_, "no kernel");
        // One image at a time, so that others are equal.
        std::vector<at::Tensor> images;
        for (int64_t i = 0; i < batch; ++i) {
          images.push_back(
              cpu_->Run(x.narrow(0, i, 1), weight, stride, padding));
        }
        ops_.batches_->push_back(batch);
        const at::Tensor y =
            at::cat(images).contiguous(at::MemoryFormat::ChannelsLast);
        return batch == ops_.odd_batch_ ? y * (1 + 1e-7) : y;
      }

     private:
      const OddOps& ops_;
      const std::unique_ptr<Convolutions> cpu_;
    };
    return std::make_unique<OddConvolutions>(*this,
                                             cpu_->NewConvolutions(precision));
  }
  void StartRows(const RowBuffers& buffers) override {
    cpu_->StartRows(buffers);
  }
  void FinishRows(const RowBuffers& buffers) override {
    cpu_->FinishRows(buffers);
  }
  void ToRgb8(const at::Tensor& images, const at::Tensor& rows) override {
    cpu_->ToRgb8(images, rows);
  }

 private:
  const int64_t odd_batch_;
  const int64_t refused_batch_;
  std::vector<int64_t>* const batches_;
  const std::unique_ptr<DeviceOps> cpu_;
};

class BatchShapesTest : public testing::Test {
 protected:
  // Everything costs the same here, so that one shape is best for any batch.
  std::unique_ptr<BatchRunner> Runner(int64_t odd_batch,
                                      int64_t refused_batch) {
    GpuLaneRunnerOptions options;
    options.pinned_batch = 8;
    options.max_batch_size = 16;
    options.max_trajectories = 64;
    options.on_notice = [this](const std::string& notice) {
      notices_.push_back(notice);
    };
    return NewLaneRunner(
        {options.max_batch_size, options.max_trajectories},
        NewGpuStepBackend(options, std::make_unique<OddOps>(
                                       odd_batch, refused_batch, &batches_)));
  }

  // The sizes in which a step of `size` rows is computed, once its shapes are
  // recorded.
  std::set<int64_t> ShapesOf(BatchRunner& runner, int size) {
    std::vector<StepRow> rows;
    for (int i = 0; i < size; ++i) {
      rows.push_back(Row(i, 5, static_cast<uint32_t>(i), 3));
    }
    for (int run = 0; run < 2; ++run) {
      batches_.clear();
      const absl::Status status = runner.RunStep(model_, rows).status();
      EXPECT_TRUE(status.ok()) << status;
    }
    for (const StepRow& row : rows) runner.Forget({{row.id}});
    return {batches_.begin(), batches_.end()};
  }

  const std::shared_ptr<const Model> model_ = TinyModel(3);
  std::vector<int64_t> batches_;  // Of every convolution.
  std::vector<std::string> notices_;
};

TEST_F(BatchShapesTest, ABatchRunsAsTheShapeThatHoldsIt) {
  const std::unique_ptr<BatchRunner> runner = Runner(0, 0);
  EXPECT_THAT(ShapesOf(*runner, 1), ElementsAre(1));
  EXPECT_THAT(ShapesOf(*runner, 3), ElementsAre(4));
  EXPECT_THAT(ShapesOf(*runner, 5), ElementsAre(8));
  EXPECT_THAT(ShapesOf(*runner, 16), ElementsAre(16));
  EXPECT_THAT(notices_, IsEmpty());
}

TEST_F(BatchShapesTest, ShapesAreRecordedWhenABatchCallsForThem) {
  const std::unique_ptr<BatchRunner> runner = Runner(0, 0);
  const StepRow row = Row(1, 5, 0, 3);
  ASSERT_TRUE(runner->RunStep(model_, {&row, 1}).ok());
  EXPECT_THAT(std::set<int64_t>(batches_.begin(), batches_.end()),
              ElementsAre(1, 8));  // And the pinned one.
}

TEST_F(BatchShapesTest, AShapeOfOtherBytesIsNotUsedAndTheOperatorHears) {
  const std::unique_ptr<BatchRunner> runner = Runner(4, 0);
  EXPECT_THAT(ShapesOf(*runner, 3), ElementsAre(8));
  EXPECT_THAT(notices_,
              ElementsAre("tiny/1: batches of 4 run as other shapes: they give "
                          "other bytes than batches of 8"));
  EXPECT_THAT(ShapesOf(*runner, 1), ElementsAre(1));
  EXPECT_THAT(ShapesOf(*runner, 3), ElementsAre(8));
  EXPECT_THAT(notices_, SizeIs(1));  // Said once.
}

TEST_F(BatchShapesTest, AShapeThatDoesNotRunIsNotUsedAndTheOperatorHears) {
  const std::unique_ptr<BatchRunner> runner = Runner(0, 16);
  EXPECT_THAT(ShapesOf(*runner, 16), ElementsAre(8));
  EXPECT_THAT(
      notices_,
      ElementsAre("tiny/1: batches of 16 run as other shapes: recording: no "
                  "kernel"));
}

TEST_F(BatchShapesTest, APinnedShapeThatDoesNotRunIsAnError) {
  const std::unique_ptr<BatchRunner> runner = Runner(0, 8);
  const StepRow row = Row(1, 5, 0, 3);
  const absl::Status status = runner->RunStep(model_, {&row, 1}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no kernel"));
}

TEST(CreateGpuLaneRunnerTest, NamesTheOptionThatIsOutOfRange) {
  GpuLaneRunnerOptions options;
  options.device = "cpu";
  options.pinned_batch = 0;
  EXPECT_EQ(
      CreateGpuLaneRunner(options).status(),
      absl::InvalidArgumentError("pinned_batch is 0, must be in [1, 256]"));
  options = {};
  for (const char* device : {"tpu:0", "cuda", "cuda:", "cuda:-1", "cuda:x"}) {
    options.device = device;
    EXPECT_EQ(CreateGpuLaneRunner(options).status().code(),
              absl::StatusCode::kInvalidArgument)
        << device;
  }
  options.device = "cpu";
  options.precision = Precision::kTf32;
  EXPECT_EQ(CreateGpuLaneRunner(options).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ddgan
