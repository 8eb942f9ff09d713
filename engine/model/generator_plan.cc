#include "engine/model/generator_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// The reference's stand-in for "zero": such a layer starts at almost nothing,
// but not exactly there.
constexpr double kNearlyZero = 1e-10;
constexpr double kAttentionScale = 0.1;

// Fans count a kernel's area with each channel (MODEL.md 3.4).
double FanAverageBound(double fan_in, double fan_out, double scale) {
  return std::sqrt(3 * scale / ((fan_in + fan_out) / 2));
}
double FanOutBound(double fan_out) { return std::sqrt(3 / fan_out); }

constexpr ParameterInit kZeros = {};
constexpr ParameterInit kOnes = {.bound = 0, .first_half = 1, .second_half = 1};
// An adaptive group norm starts as a plain one: gamma 1, beta 0.
constexpr ParameterInit kStyleBias = {
    .bound = 0, .first_half = 1, .second_half = 0};

// Appends parameters under a prefix, in the order of the reference.
class ParameterList {
 public:
  explicit ParameterList(std::vector<ParameterPlan>* out) : out_(out) {}

  void Linear(const std::string& prefix, int64_t in, int64_t out,
              double bound) {
    Add(prefix + ".weight", {out, in}, {.bound = bound});
    Add(prefix + ".bias", {out}, kZeros);
  }

  void Conv(const std::string& prefix, int64_t in, int64_t out, int64_t kernel,
            double scale) {
    const double area = static_cast<double>(kernel * kernel);
    Add(prefix + ".weight", {out, in, kernel, kernel},
        {.bound = FanAverageBound(static_cast<double>(in) * area,
                                  static_cast<double>(out) * area, scale)});
    Add(prefix + ".bias", {out}, kZeros);
  }

  void AdaptiveGroupNorm(const std::string& prefix, int64_t channels,
                         int64_t z_emb_dim) {
    const int64_t out = 2 * channels;
    Add(prefix + ".style.weight", {out, z_emb_dim},
        {.bound = FanOutBound(static_cast<double>(out))});
    Add(prefix + ".style.bias", {out}, kStyleBias);
  }

  void GroupNorm(const std::string& prefix, int64_t channels) {
    Add(prefix + ".weight", {channels}, kOnes);
    Add(prefix + ".bias", {channels}, kZeros);
  }

  void Nin(const std::string& prefix, int64_t channels, double scale) {
    const double fan = static_cast<double>(channels);
    Add(prefix + ".W", {channels, channels},
        {.bound = FanAverageBound(fan, fan, scale)});
    Add(prefix + ".b", {channels}, kZeros);
  }

 private:
  void Add(std::string name, std::vector<int64_t> shape, ParameterInit init) {
    out_->push_back({std::move(name), std::move(shape), init});
  }

  std::vector<ParameterPlan>* out_;
};

double LinearBound(const ModulePlan& module) {
  return FanAverageBound(module.in_channels, module.out_channels, 1);
}

void AddResBlock(const std::string& prefix, const ModulePlan& module,
                 const ModelConfig& config, ParameterList* list) {
  const int in = module.in_channels;
  const int out = module.out_channels;
  const int temb = 4 * config.num_channels_dae;
  list->AdaptiveGroupNorm(prefix + ".GroupNorm_0", in, config.z_emb_dim);
  list->Conv(prefix + ".Conv_0", in, out, 3, 1);
  list->Linear(prefix + ".Dense_0", temb, out, FanAverageBound(temb, out, 1));
  list->AdaptiveGroupNorm(prefix + ".GroupNorm_1", out, config.z_emb_dim);
  list->Conv(prefix + ".Conv_1", out, out, 3, kNearlyZero);
  if (HasSkipConv(module)) list->Conv(prefix + ".Conv_2", in, out, 1, 1);
}

void AddAttention(const std::string& prefix, int channels,
                  ParameterList* list) {
  list->GroupNorm(prefix + ".GroupNorm_0", channels);
  for (int k = 0; k < 3; ++k)
    list->Nin(absl::StrCat(prefix, ".NIN_", k), channels, kAttentionScale);
  list->Nin(prefix + ".NIN_3", channels, kNearlyZero);
}

void AddModule(const std::string& prefix, const ModulePlan& module,
               bool is_output_head, const ModelConfig& config,
               ParameterList* list) {
  switch (module.kind) {
    case ModuleKind::kLinear:
      list->Linear(prefix, module.in_channels, module.out_channels,
                   LinearBound(module));
      return;
    case ModuleKind::kConv3x3:
      list->Conv(prefix, module.in_channels, module.out_channels, 3,
                 is_output_head ? kNearlyZero : 1);
      return;
    case ModuleKind::kResBlock:
    case ModuleKind::kResBlockDown:
    case ModuleKind::kResBlockUp:
      AddResBlock(prefix, module, config, list);
      return;
    case ModuleKind::kAttention:
      AddAttention(prefix, module.in_channels, list);
      return;
    case ModuleKind::kConvDown:
      list->Conv(prefix + ".Conv2d_0", module.in_channels, module.out_channels,
                 3, 1);
      return;
    case ModuleKind::kCombine:
      list->Conv(prefix + ".Conv_0", module.in_channels, module.out_channels, 1,
                 1);
      return;
    case ModuleKind::kGroupNorm:
      list->GroupNorm(prefix, module.in_channels);
      return;
  }
}

}  // namespace

bool HasSkipConv(const ModulePlan& module) {
  return module.kind == ModuleKind::kResBlockDown ||
         module.kind == ModuleKind::kResBlockUp ||
         (module.kind == ModuleKind::kResBlock &&
          module.in_channels != module.out_channels);
}

int GroupNormGroups(int channels) { return std::min(channels / 4, 32); }

// The numbering of MODEL.md 3.2, step by step.
std::vector<ModulePlan> PlanModules(const ModelConfig& config) {
  const int nf = config.num_channels_dae;
  const int levels = static_cast<int>(config.ch_mult.size());
  const auto width = [&](int level) { return nf * config.ch_mult[level]; };
  const auto resolution = [&](int level) { return config.image_size >> level; };
  const auto has_attention = [&](int level) {
    return std::find(config.attn_resolutions.begin(),
                     config.attn_resolutions.end(),
                     resolution(level)) != config.attn_resolutions.end();
  };

  std::vector<ModulePlan> modules;
  const auto add = [&](ModuleKind kind, int in, int out, int res) {
    modules.push_back({kind, in, out, res});
  };
  const auto add_output_head = [&](int level, int in) {
    add(ModuleKind::kGroupNorm, in, in, resolution(level));
    add(ModuleKind::kConv3x3, in, config.num_channels, resolution(level));
  };

  add(ModuleKind::kLinear, nf, 4 * nf, 0);
  add(ModuleKind::kLinear, 4 * nf, 4 * nf, 0);
  add(ModuleKind::kConv3x3, config.num_channels, nf, config.image_size);

  std::vector<int> skips = {nf};  // Widths the decoder will concatenate.
  int current = nf;
  int pyramid = config.num_channels;
  for (int level = 0; level < levels; ++level) {
    const int w = width(level);
    const int res = resolution(level);
    for (int block = 0; block < config.num_res_blocks; ++block) {
      add(ModuleKind::kResBlock, current, w, res);
      if (has_attention(level)) add(ModuleKind::kAttention, w, w, res);
      current = w;
      skips.push_back(w);
    }
    if (level == levels - 1) continue;
    add(ModuleKind::kResBlockDown, w, w, res);
    if (config.progressive_input == "residual") {
      add(ModuleKind::kConvDown, pyramid, w, res);
      pyramid = w;
    } else if (config.progressive_input == "input_skip") {
      add(ModuleKind::kCombine, pyramid, w, res / 2);
    }
    skips.push_back(w);
  }

  const int lowest = resolution(levels - 1);
  add(ModuleKind::kResBlock, current, current, lowest);
  add(ModuleKind::kAttention, current, current, lowest);
  add(ModuleKind::kResBlock, current, current, lowest);

  for (int level = levels - 1; level >= 0; --level) {
    const int w = width(level);
    const int res = resolution(level);
    for (int block = 0; block <= config.num_res_blocks; ++block) {
      add(ModuleKind::kResBlock, current + skips.back(), w, res);
      skips.pop_back();
      current = w;
    }
    if (has_attention(level)) add(ModuleKind::kAttention, w, w, res);
    if (config.progressive == "output_skip") add_output_head(level, w);
    if (level > 0) add(ModuleKind::kResBlockUp, w, w, res);
  }
  if (config.progressive == "none") add_output_head(0, current);
  return modules;
}

GeneratorPlan PlanGenerator(const ModelConfig& config) {
  GeneratorPlan plan;
  plan.modules = PlanModules(config);
  ParameterList list(&plan.parameters);
  for (size_t i = 0; i < plan.modules.size(); ++i) {
    const bool is_output_head =
        i > 0 && plan.modules[i - 1].kind == ModuleKind::kGroupNorm;
    AddModule(absl::StrCat("all_modules.", i), plan.modules[i], is_output_head,
              config, &list);
  }
  // The mapping of the latent: PixelNorm at 0, then linear layers at the odd
  // places with an activation after each.
  const double z_bound = FanOutBound(config.z_emb_dim);
  list.Linear("z_transform.1", config.nz, config.z_emb_dim, z_bound);
  for (int layer = 1; layer <= config.n_mlp; ++layer) {
    list.Linear(absl::StrCat("z_transform.", 2 * layer + 1), config.z_emb_dim,
                config.z_emb_dim, z_bound);
  }
  return plan;
}

}  // namespace ddgan
