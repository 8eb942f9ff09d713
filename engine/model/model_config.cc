#include "engine/model/model_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "engine/model/generator_plan.h"

namespace ddgan {
namespace {

// One attention map is (resolution^2)^2 floats per image: 64 MiB at 64 pixels,
// 4 TiB at 1024.
constexpr int kMaxAttentionResolution = 64;
// float32 values in one layer's input for one image: 1 GiB.
constexpr int64_t kMaxActivationValues = int64_t{1} << 28;
// 4 GiB of float32; the largest published generator has 48 million.
constexpr int64_t kMaxParameterValues = int64_t{1} << 30;
constexpr char kDenoising[] = "denoising";

template <typename T>
absl::Status CheckNumber(const char* key, T value, T low, T high) {
  // Written so that NaN fails.
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key, " = ", value, " is not allowed: must be in [", low,
                   ", ", high, "]"));
}

// In a message: a stranger may have written it, of any bytes and any length.
std::string Quoted(absl::string_view value) {
  constexpr size_t kMaxBytes = 64;
  return absl::StrCat("\"", absl::CHexEscape(value.substr(0, kMaxBytes)),
                      value.size() > kMaxBytes ? "..." : "", "\"");
}

absl::Status CheckOption(const char* key, bool value, bool supported) {
  if (value == supported) return absl::OkStatus();
  const auto name = [](bool b) { return b ? "true" : "false"; };
  return absl::InvalidArgumentError(absl::StrCat(
      key, " = ", name(value), " is not supported: must be ", name(supported)));
}

absl::Status CheckOption(const char* key, const std::string& value,
                         std::initializer_list<const char*> supported) {
  for (const char* option : supported)
    if (value == option) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key, " = ", Quoted(value), " is not supported: must be \"",
                   absl::StrJoin(supported, "\" or \""), "\""));
}

absl::Status CheckLevels(const ModelConfig& config) {
  const size_t levels = config.ch_mult.size();
  if (levels < 1 || levels > 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("ch_mult has ", levels, " levels: must have 1 to 8"));
  }
  for (int factor : config.ch_mult) {
    if (factor < 1 || factor > 8) {
      return absl::InvalidArgumentError(
          absl::StrCat("ch_mult = [", absl::StrJoin(config.ch_mult, ", "),
                       "] is not allowed: each factor must be in [1, 8]"));
    }
  }
  const int divisor = 1 << (levels - 1);
  if (config.image_size % divisor != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "image_size = ", config.image_size, " is not allowed: with the ",
        levels, " levels of ch_mult it must be a multiple of ", divisor));
  }
  return absl::OkStatus();
}

absl::Status CheckAttentionResolutions(const ModelConfig& config) {
  if (config.attn_resolutions.size() > 16) {
    return absl::InvalidArgumentError(
        absl::StrCat("attn_resolutions has ", config.attn_resolutions.size(),
                     " entries: must have at most 16"));
  }
  for (int resolution : config.attn_resolutions) {
    if (auto status = CheckNumber("attn_resolutions", resolution, 1,
                                  kMaxAttentionResolution);
        !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status CheckFirKernel(const ModelConfig& config) {
  if (config.fir_kernel.size() != 4) {
    return absl::InvalidArgumentError(absl::StrCat(
        "fir_kernel has ", config.fir_kernel.size(), " taps: must have 4"));
  }
  double sum = 0;
  for (double tap : config.fir_kernel) {
    if (auto status = CheckNumber("fir_kernel", tap, -1000.0, 1000.0);
        !status.ok())
      return status;
    sum += tap;
  }
  // The kernel is divided by its sum.
  if (std::abs(sum) < 1e-3) {
    return absl::InvalidArgumentError(
        absl::StrCat("fir_kernel = [", absl::StrJoin(config.fir_kernel, ", "),
                     "] is not allowed: its sum must not be 0"));
  }
  return absl::OkStatus();
}

// Bounds within which no element of the schedule is NaN, and no two neighbours
// are equal in float32.
absl::Status CheckSchedule(const ModelConfig& config) {
  const double low = config.use_geometric ? 1e-5 : 1e-4;
  const double high = config.use_geometric ? 0.999999 : 100;
  for (const auto& [key, value] : {std::pair("beta_min", config.beta_min),
                                   std::pair("beta_max", config.beta_max)}) {
    if (auto status = CheckNumber(key, value, low, high); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          status.message(),
          " with use_geometric = ", config.use_geometric ? "true" : "false"));
    }
  }
  const double ratio = config.use_geometric ? 2 : 1;
  if (config.beta_max < ratio * config.beta_min) {
    return absl::InvalidArgumentError(absl::StrCat(
        "beta_min = ", config.beta_min, " is not allowed: must be at most ",
        config.use_geometric ? "half of " : "",
        "beta_max = ", config.beta_max));
  }
  return absl::OkStatus();
}

// Many small steps can be too small for float32, so that posterior and update
// rules would divide by zero.
absl::Status CheckStepsAreDistinct(const ModelConfig& config) {
  const NoiseSchedule schedule = ComputeNoiseSchedule(ProcessOf(config));
  bool distinct = true;
  for (int t = 0; t < schedule.num_timesteps(); ++t) {
    distinct = distinct && schedule.ac[t + 1] < schedule.ac[t] &&
               schedule.sc[t + 1] > 0 && std::isfinite(schedule.c1[t]) &&
               std::isfinite(schedule.c2[t]) &&
               std::isfinite(schedule.variance[t]);
  }
  if (distinct) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "beta_min = ", config.beta_min, " with beta_max = ", config.beta_max,
      " is not allowed at num_timesteps = ", config.num_timesteps,
      ": neighbouring steps have the same noise in float32"));
}

absl::Status CheckSampler(const ModelConfig& config) {
  const absl::StatusOr<UpdateRule> rule =
      ParseUpdateRule(config.sampler, config.num_timesteps);
  if (rule.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("sampler = ", Quoted(config.sampler),
                   " is not allowed: ", rule.status().message()));
}

bool IsNormalised(ModuleKind kind) {
  switch (kind) {
    case ModuleKind::kResBlock:
    case ModuleKind::kResBlockDown:
    case ModuleKind::kResBlockUp:
    case ModuleKind::kAttention:
    case ModuleKind::kGroupNorm:
      return true;
    case ModuleKind::kLinear:
    case ModuleKind::kConv3x3:
    case ModuleKind::kConvDown:
    case ModuleKind::kCombine:
      return false;
  }
  return false;
}

// What follows from the numbers together; each is in its own range by now.
absl::Status CheckPlan(const ModelConfig& config) {
  const GeneratorPlan plan = PlanGenerator(config);
  const auto widths = [&] {
    return absl::StrCat("num_channels_dae = ", config.num_channels_dae,
                        " with ch_mult = [",
                        absl::StrJoin(config.ch_mult, ", "), "]");
  };
  for (size_t i = 0; i < plan.modules.size(); ++i) {
    const ModulePlan& module = plan.modules[i];
    for (int channels : {module.in_channels, module.out_channels}) {
      if (IsNormalised(module.kind) &&
          channels % GroupNormGroups(channels) != 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            widths(), " is not allowed: all_modules.", i, " normalises ",
            channels, " channels, which must be a multiple of ",
            channels <= 128 ? 4 : 32));
      }
    }
    if (module.kind == ModuleKind::kAttention &&
        module.resolution > kMaxAttentionResolution) {
      // Those of attn_resolutions are checked: this is the middle block.
      return absl::InvalidArgumentError(absl::StrCat(
          "image_size = ", config.image_size, " is not allowed: with the ",
          config.ch_mult.size(), " levels of ch_mult, attention runs at ",
          module.resolution, " pixels, and ", kMaxAttentionResolution,
          " is the most"));
    }
    const int64_t values =
        int64_t{std::max(module.in_channels, module.out_channels)} *
        module.resolution * module.resolution;
    if (values > kMaxActivationValues) {
      return absl::InvalidArgumentError(absl::StrCat(
          widths(), " is not allowed at image_size = ", config.image_size,
          ": all_modules.", i, " handles ", values, " values per image, and ",
          kMaxActivationValues, " is the most"));
    }
  }
  int64_t total = 0;
  for (const ParameterPlan& parameter : plan.parameters) {
    int64_t values = 1;
    for (int64_t size : parameter.shape) values *= size;
    total += values;
  }
  if (total > kMaxParameterValues) {
    return absl::InvalidArgumentError(
        absl::StrCat(widths(), " and num_res_blocks = ", config.num_res_blocks,
                     " is not allowed: ", total, " weights, and ",
                     kMaxParameterValues, " is the most"));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsDenoiser(const ModelConfig& config) {
  return config.objective == kDenoising;
}

DiffusionProcess ProcessOf(const ModelConfig& config) {
  return {.num_timesteps = config.num_timesteps,
          .beta_min = config.beta_min,
          .beta_max = config.beta_max,
          .use_geometric = config.use_geometric};
}

SamplingPlan PlanOf(const ModelConfig& config) {
  return PlanSampling(
      ParseUpdateRule(config.sampler, config.num_timesteps).value(),
      ComputeNoiseSchedule(ProcessOf(config)));
}

int EvaluationsPerImage(const ModelConfig& config) {
  return CountEvaluations(
      ParseUpdateRule(config.sampler, config.num_timesteps).value(),
      config.num_timesteps);
}

absl::Status ValidateModelConfig(const ModelConfig& config) {
  const absl::Status checks[] = {
      // First, since the numbers of another architecture mean something else.
      CheckOption("resblock_type", config.resblock_type, {"biggan"}),
      CheckNumber("image_size", config.image_size, 8, 1024),
      config.num_channels == 1 || config.num_channels == 3
          ? absl::OkStatus()
          : absl::InvalidArgumentError(
                absl::StrCat("num_channels = ", config.num_channels,
                             " is not allowed: must be 1 or 3")),
      CheckNumber("num_channels_dae", config.num_channels_dae, 4, 1024),
      CheckNumber("num_res_blocks", config.num_res_blocks, 1, 8),
      CheckLevels(config),
      CheckAttentionResolutions(config),
      CheckOption("progressive", config.progressive, {"none", "output_skip"}),
      CheckOption("progressive_input", config.progressive_input,
                  {"none", "residual", "input_skip"}),
      CheckOption("progressive_combine", config.progressive_combine, {"sum"}),
      CheckOption("embedding_type", config.embedding_type, {"positional"}),
      CheckNumber("fourier_scale", config.fourier_scale,
                  std::numeric_limits<double>::lowest(),
                  std::numeric_limits<double>::max()),
      CheckOption("fir", config.fir, true),
      CheckFirKernel(config),
      CheckOption("skip_rescale", config.skip_rescale, true),
      CheckOption("resamp_with_conv", config.resamp_with_conv, true),
      CheckOption("conditional", config.conditional, true),
      CheckOption("centered", config.centered, true),
      CheckOption("not_use_tanh", config.not_use_tanh, false),
      CheckNumber("dropout", config.dropout, 0.0, 0.0),
      CheckNumber("nz", config.nz, 1, 4096),
      CheckNumber("z_emb_dim", config.z_emb_dim, 1, 4096),
      CheckNumber("n_mlp", config.n_mlp, 1, 16),
      CheckNumber("num_timesteps", config.num_timesteps, 1, 1000),
      CheckSchedule(config),
      CheckOption("objective", config.objective, {"adversarial", kDenoising}),
      CheckSampler(config),
  };
  for (const absl::Status& status : checks)
    if (!status.ok()) return status;
  if (auto status = CheckStepsAreDistinct(config); !status.ok()) return status;
  return CheckPlan(config);
}

}  // namespace ddgan
