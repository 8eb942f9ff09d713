#include "trainer/evaluation/model_points.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"
#include "engine/base/monotonic_clock.h"
#include "engine/checkpoint/parameter_loader.h"
#include "trainer/evaluation/model_pictures.h"
#include "trainer/networks/toy_networks.h"
#include "trainer/step/denoising_chain.h"

namespace ddgan {
namespace {

// ModelConfig::resblock_type of such a version.
constexpr char kToyNetworks[] = "toy_mlp";
// Computed at once; a few MiB.
constexpr int kPointsAtOnce = 4096;
constexpr int64_t kMaxPoints = int64_t{1} << 32;

absl::Status CheckIs(const char* key, int64_t value, int64_t wanted) {
  if (value == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key, " = ", value, ": a version of points has ", wanted));
}

absl::Status ValidatePoints(const ModelConfig& config) {
  if (config.resblock_type != kToyNetworks) {
    return absl::InvalidArgumentError(
        absl::StrCat("resblock_type = \"", config.resblock_type,
                     "\": a version of points has \"", kToyNetworks, "\""));
  }
  for (const absl::Status& status :
       {CheckIs("image_size", config.image_size, 1),
        CheckIs("num_channels", config.num_channels, 2)}) {
    if (!status.ok()) return status;
  }
  if (config.num_channels_dae < 4 || config.num_channels_dae > 4096) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_channels_dae = ", config.num_channels_dae,
                     " is not allowed: must be in [4, 4096]"));
  }
  // The rest means what it means for images.
  ModelConfig rest;
  rest.nz = config.nz;
  rest.num_timesteps = config.num_timesteps;
  rest.beta_min = config.beta_min;
  rest.beta_max = config.beta_max;
  rest.use_geometric = config.use_geometric;
  rest.objective = config.objective;
  rest.sampler = config.sampler;
  return ValidateModelConfig(rest);
}

GeneratorPlan PlanPoints(const ModelConfig& config) {
  return {.modules = {},
          .parameters = PlanToyGenerator(config.num_channels_dae, config.nz)};
}

constexpr CheckpointNetworks kPointNetworks = {ValidatePoints, PlanPoints};

}  // namespace

struct ModelPoints::Sampler {
  ModelConfig config;
  SamplingPlan plan;
  std::unique_ptr<Networks> networks;
};

absl::StatusOr<Checkpoint> ReadPointsVersion(
    const std::filesystem::path& folder) {
  return ReadVersionFolder(folder, kPointNetworks);
}

absl::StatusOr<std::unique_ptr<ModelPoints>> ModelPoints::Create(
    const Checkpoint& checkpoint, const Options& options) {
  auto sampler = std::make_unique<Sampler>();
  sampler->config = checkpoint.config.model_config;
  if (!options.sampler.empty()) sampler->config.sampler = options.sampler;
  if (absl::Status status = ValidatePoints(sampler->config); !status.ok())
    return status;
  sampler->plan = PlanOf(sampler->config);
  using Created = absl::StatusOr<std::unique_ptr<ModelPoints>>;
  return CatchingLibTorch("points", [&]() -> Created {
    absl::StatusOr<Parameters> parameters =
        LoadParameters(checkpoint, NeverStop, kPointNetworks);
    if (!parameters.ok()) return parameters.status();
    sampler->networks = CreateToyNetworks(*parameters, Parameters());
    return std::unique_ptr<ModelPoints>(
        new ModelPoints(options.seed, std::move(sampler)));
  });
}

ModelPoints::ModelPoints(uint64_t seed, std::unique_ptr<Sampler> sampler)
    : seed_(seed), sampler_(std::move(sampler)) {}

ModelPoints::~ModelPoints() = default;

int ModelPoints::evaluations_per_point() const {
  return static_cast<int>(sampler_->plan.size());
}

absl::StatusOr<std::vector<float>> ModelPoints::Next(int64_t count) {
  const int64_t left = kMaxPoints - next_index_;
  if (count < 1 ||
      count > std::min<int64_t>(left, std::numeric_limits<int>::max())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "points: count is ", count, ", must be at least 1 and at most the ",
        left, " that the seed has left"));
  }
  const ModelConfig& config = sampler_->config;
  std::vector<float> points;
  const absl::Time start = RealMonotonicClock()->Now();
  const absl::Status status = CatchingLibTorch("points", [&] {
    const DenoisingChain chain = SampleChain(
        {*sampler_->networks,
         sampler_->plan,
         {2, 1, 1, config.nz, config.num_timesteps},
         IsDenoiser(config)},
        seed_, static_cast<uint32_t>(next_index_), static_cast<int>(count),
        /*kept=*/0, kPointsAtOnce, at::kCPU);
    const at::Tensor& x = chain.x.back();
    points.assign(x.const_data_ptr<float>(),
                  x.const_data_ptr<float>() + x.numel());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  device_time_ += RealMonotonicClock()->Now() - start;
  for (size_t i = 0; i < points.size(); ++i) {
    if (std::isfinite(points[i])) continue;
    return absl::InternalError(
        absl::StrCat("the generator's output is not finite at seed ", seed_,
                     ", index ", next_index_ + static_cast<int64_t>(i / 2)));
  }
  next_index_ += count;
  return points;
}

}  // namespace ddgan
