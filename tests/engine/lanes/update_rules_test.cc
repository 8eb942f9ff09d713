// Every update rule on every kind of lane: images follow the rule's formulas,
// written down once more in double, and depend on no other row.
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/philox.h"
#include "engine/kernels/normal_noise.h"
#include "engine/lanes/cpu/cpu_lane_runner.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"
#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "tests/fakes/visible_parameters.h"

namespace ddgan {
namespace {

using Planes = std::vector<float>;
using Doubles = std::vector<double>;

constexpr int kTimesteps = 6;  // T

std::shared_ptr<const Model> ModelOf(const std::string& objective,
                                     const std::string& sampler) {
  ModelConfig config = SmallRgbConfig();
  config.num_timesteps = kTimesteps;
  config.objective = objective;
  config.sampler = sampler;
  return std::make_shared<const Model>(
      ModelIdentity{"tiny", 1, "digest"},
      Generator(config, VisibleParameters(config, 3)), ModelUse::kAllLanes);
}

// The image of (seed, index), or what a guide becomes in `guide_steps`.
class Reference {
 public:
  Reference(const Model& model, uint64_t seed, uint32_t index)
      : model_(model),
        generator_(model.config(), model.parameters()),
        seed_(seed),
        index_(index) {}

  Doubles Image(const Planes* guide = nullptr, int guide_steps = 0) {
    const std::string& sampler = model_.config().sampler;
    const NoiseSchedule& s = model_.schedule();
    struct Move {
      int from;  // Levels.
      int to;    // The same for a correction.
    };
    std::vector<Move> moves;  // In their order.
    if (sampler == "ddim:4") {
      // 4 of 6: levels 6, 4 (18/4), 3, 1 (6/4), 0.
      moves = {{6, 4}, {4, 3}, {3, 1}, {1, 0}};
    } else {
      for (int level = kTimesteps; level > 0; --level) {
        moves.push_back({level, level - 1});
        if (sampler == "pc" && level > 1)
          moves.push_back({level - 1, level - 1});
      }
    }
    int left = static_cast<int>(moves.size());
    Doubles x;
    if (guide != nullptr) {
      left = guide_steps;
      const int level = moves[moves.size() - left].from;
      x = Noise(left, NoiseStream::kGuide, Numel());
      for (size_t i = 0; i < x.size(); ++i)
        x[i] = s.ac[level] * (*guide)[i] + s.sc[level] * x[i];
    } else {
      x = Noise(kTimesteps, NoiseStream::kInitial, Numel());
    }
    for (size_t m = moves.size() - left; m < moves.size(); ++m) {
      --left;
      const auto [from, to] = moves[m];
      const Doubles x0 = Denoise(x, from - 1, left);
      const double acp = double{s.ac[from]} * s.ac[from];
      if (from == to) {
        const Doubles n = Noise(left, NoiseStream::kLangevin, Numel());
        Doubles score(x.size());
        double n2 = 0, s2 = 0;
        for (size_t i = 0; i < x.size(); ++i) {
          score[i] = -(x[i] - std::sqrt(acp) * x0[i]) / (1 - acp);
          n2 += n[i] * n[i];
          s2 += score[i] * score[i];
        }
        const double ratio = 0.16 * std::sqrt(n2 / s2);
        const double eps = 2 * (1 - double{s.betas[from]}) * ratio * ratio;
        for (size_t i = 0; i < x.size(); ++i)
          x[i] += eps * score[i] + std::sqrt(2 * eps) * n[i];
      } else if (sampler == "ddim:4") {
        const double acp_to = double{s.ac[to]} * s.ac[to];
        for (size_t i = 0; i < x.size(); ++i) {
          x[i] = std::sqrt(acp_to) * x0[i] +
                 std::sqrt(1 - acp_to) * (x[i] - std::sqrt(acp) * x0[i]) /
                     std::sqrt(1 - acp);
        }
      } else {
        const Doubles n = Noise(left, NoiseStream::kPosterior, Numel());
        for (size_t i = 0; i < x.size(); ++i)
          x[i] = s.c1[to] * x0[i] + s.c2[to] * x[i] + s.stddev[to] * n[i];
      }
    }
    return x;
  }

 private:
  size_t Numel() const {
    const ModelConfig& config = model_.config();
    return size_t{3} * config.image_size * config.image_size;
  }

  Doubles Noise(int step, NoiseStream stream, size_t count) const {
    Planes noise(count);
    kernels::FillNormal({seed_, index_, static_cast<uint32_t>(step), stream},
                        static_cast<int64_t>(count), noise.data());
    return {noise.begin(), noise.end()};
  }

  Doubles Denoise(const Doubles& x, int t, int left) const {
    const c10::NoGradGuard no_grad;
    const ModelConfig& config = model_.config();
    const int64_t size = config.image_size;
    Planes state(x.begin(), x.end());
    Planes z(config.nz, 0);
    if (config.objective == "adversarial") {
      const Doubles drawn = Noise(left, NoiseStream::kLatent, z.size());
      z.assign(drawn.begin(), drawn.end());
    }
    const at::Tensor x0 =
        generator_
            .Forward(at::from_blob(state.data(), {1, 3, size, size}),
                     at::full({1}, t, at::kLong),
                     at::from_blob(z.data(), {1, config.nz}))
            .contiguous();
    const float* values = x0.const_data_ptr<float>();
    return {values, values + x0.numel()};
  }

  const Model& model_;
  const Generator generator_;
  const uint64_t seed_;
  const uint32_t index_;
};

std::unique_ptr<BatchRunner> Lane(const std::string& kind) {
  if (kind == "cpu") {
    CpuLaneRunnerOptions options;
    options.threads = 2;
    options.max_batch_size = 16;
    return CreateCpuLaneRunner(options).value();
  }
  GpuLaneRunnerOptions options;
  options.device = "cpu";  // The GPU's step.
  options.pinned_batch = 4;
  options.max_batch_size = 16;
  return CreateGpuLaneRunner(options).value();
}

StepRow Row(TrajectoryId id, uint64_t seed, uint32_t index, int step) {
  StepRow row;
  row.id = id;
  row.seed = seed;
  row.image_index = index;
  row.step = step;
  row.pixel_format = PixelFormat::kFloat32;
  return row;
}

Planes ToPlanes(absl::Span<const uint8_t> pixels) {
  Planes planes(pixels.size() / sizeof(float));
  std::memcpy(planes.data(), pixels.data(), pixels.size());
  return planes;
}

// Kind of lane, objective, sampler.
using Case = std::tuple<const char*, const char*, const char*>;

class UpdateRulesTest : public testing::TestWithParam<Case> {
 protected:
  const std::shared_ptr<const Model> model_ =
      ModelOf(std::get<1>(GetParam()), std::get<2>(GetParam()));
  const std::unique_ptr<BatchRunner> lane_ = Lane(std::get<0>(GetParam()));
  const int evaluations_ = static_cast<int>(model_->plan().size());

  Planes Run(StepRow row) {
    for (; row.step >= 0; --row.step, row.guide = nullptr) {
      const absl::StatusOr<StepOutcome*> outcome =
          lane_->RunStep(model_, {&row, 1});
      EXPECT_TRUE(outcome.ok()) << outcome.status();
      if (!outcome.ok()) return {};
      if (row.step == 0) return ToPlanes((*outcome)->finished.at(0).pixels);
    }
    return {};
  }

  static void ExpectClose(const Planes& actual, const Doubles& expected) {
    ASSERT_EQ(actual.size(), expected.size());
    double spread = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
      ASSERT_NEAR(actual[i], expected[i], 2e-4) << i;
      spread = std::max(spread, std::abs(expected[i]));
    }
    EXPECT_GT(spread, 0.1);  // The image is not empty.
  }
};

TEST_P(UpdateRulesTest, AnImageFollowsTheFormulas) {
  ExpectClose(Run(Row(1, 7, 2, evaluations_ - 1)),
              Reference(*model_, 7, 2).Image());
}

TEST_P(UpdateRulesTest, AGuideIsDiffusedToItsFirstEvaluation) {
  Planes guide(3 * 16 * 16);
  for (size_t i = 0; i < guide.size(); ++i)
    guide[i] = std::sin(static_cast<float>(i) * 0.37f);
  for (const int steps : {1, 2, 3, evaluations_}) {
    StepRow row = Row(1, 8, 5, steps - 1);
    row.guide = guide.data();
    ExpectClose(Run(row), Reference(*model_, 8, 5).Image(&guide, steps));
  }
}

TEST_P(UpdateRulesTest, AStepOutsideThePlanIsRefused) {
  const StepRow beyond = Row(1, 7, 2, evaluations_);
  EXPECT_EQ(lane_->RunStep(model_, {&beyond, 1}).status().code(),
            absl::StatusCode::kInternal);
}

TEST_P(UpdateRulesTest, BytesDoNotDependOnTheBatch) {
  struct Trajectory {
    int step;
    Planes image;
  };
  std::map<TrajectoryId, Trajectory> all;
  for (TrajectoryId id = 0; id < 12; ++id) all[id] = {evaluations_ - 1, {}};
  std::mt19937 random(5);
  size_t finished = 0;
  while (finished < all.size()) {
    std::vector<StepRow> rows;
    for (const auto& [id, trajectory] : all) {
      if (trajectory.step >= 0 && random() % 2 == 0) {
        rows.push_back(Row(id, 40, static_cast<uint32_t>(id), trajectory.step));
      }
    }
    if (rows.empty()) continue;
    const absl::StatusOr<StepOutcome*> outcome = lane_->RunStep(model_, rows);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    for (const FinishedImage& image : (*outcome)->finished) {
      all[rows[image.row].id].image = ToPlanes(image.pixels);
      ++finished;
    }
    for (const StepRow& row : rows) --all[row.id].step;
  }
  for (const auto& [id, trajectory] : all) {
    EXPECT_EQ(trajectory.image,
              Run(Row(1000, 40, static_cast<uint32_t>(id), evaluations_ - 1)))
        << id;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, UpdateRulesTest,
    testing::Combine(testing::Values("cpu", "gpu_step"),
                     testing::Values("adversarial", "denoising"),
                     testing::Values("ancestral", "ddim:4", "pc")),
    [](const testing::TestParamInfo<Case>& info) {
      std::string name = std::string(std::get<0>(info.param)) + "_" +
                         std::get<1>(info.param) + "_" +
                         std::get<2>(info.param);
      for (char& c : name)
        if (c == ':') c = '_';
      return name;
    });

}  // namespace
}  // namespace ddgan
