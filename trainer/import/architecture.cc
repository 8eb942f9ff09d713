#include "trainer/import/architecture.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/model/generator_plan.h"

namespace ddgan {
namespace {

constexpr int kMaxLevels = 8;
constexpr int kMaxBlocks = 8;
constexpr int kAttentionPixels = 16;
constexpr int kMaxBaseWidth = 1024;

using ShapeOf = std::map<std::string, std::vector<int64_t>>;

// Size `axis` of a tensor of rank `rank`, if it is there and is an int.
std::optional<int> SizeOf(const ShapeOf& shapes, const std::string& name,
                          size_t rank, size_t axis) {
  const auto found = shapes.find(name);
  if (found == shapes.end() || found->second.size() != rank)
    return std::nullopt;
  const int64_t size = found->second[axis];
  if (size < 1 || size > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(size);
}

bool AnyNameEndsWith(const ShapeOf& shapes, const std::string& suffix) {
  return std::any_of(shapes.begin(), shapes.end(), [&](const auto& entry) {
    return absl::EndsWith(entry.first, suffix);
  });
}

// A block of all_modules has a GroupNorm_0, a combining layer of the input
// pyramid has nothing but its convolution.
bool HasCombine(const ShapeOf& shapes, int num_modules) {
  for (int i = 0; i < num_modules; ++i) {
    const std::string prefix = absl::StrCat("all_modules.", i);
    if (shapes.count(prefix + ".Conv_0.weight") != 0 &&
        shapes.count(prefix + ".GroupNorm_0.style.weight") == 0)
      return true;
  }
  return false;
}

int CountModules(const ShapeOf& shapes) {
  int count = 0;
  const auto has = [&](int i) {
    const auto next = shapes.lower_bound(absl::StrCat("all_modules.", i, "."));
    return next != shapes.end() &&
           absl::StartsWith(next->first, absl::StrCat("all_modules.", i, "."));
  };
  while (has(count)) ++count;
  return count;
}

bool Matches(const std::vector<TensorShape>& tensors,
             const ModelConfig& config) {
  return ValidateModelConfig(config).ok() &&
         CheckTensorShapes(tensors, PlanGenerator(config)).ok();
}

// Whether this number of levels and blocks, with attention at the levels whose
// bit is set, can be numbered like the file, and with which widths. The
// numbering does not depend on the widths, so a plan with any of them says
// where to look.
std::optional<ModelConfig> FitWidths(const ShapeOf& shapes, int num_modules,
                                     ModelConfig config, int levels,
                                     unsigned attention_levels) {
  config.ch_mult.assign(levels, 1);
  const int finest =
      attention_levels == 0 ? -1 : __builtin_ctz(attention_levels);
  if (finest >= 0) config.image_size = kAttentionPixels << finest;
  config.attn_resolutions.clear();
  for (int level = 0; level < levels; ++level) {
    if ((attention_levels >> level & 1) != 0)
      config.attn_resolutions.push_back(config.image_size >> level);
  }
  const std::vector<ModulePlan> modules = PlanModules(config);
  if (static_cast<int>(modules.size()) != num_modules) return std::nullopt;

  // The blocks on the way down come first: num_res_blocks for each level.
  int level = 0;
  int block = 0;
  for (int i = 0; i < num_modules && level < levels; ++i) {
    if (modules[i].kind != ModuleKind::kResBlock) continue;
    if (block == 0) {
      const std::optional<int> width = SizeOf(
          shapes, absl::StrCat("all_modules.", i, ".Conv_0.weight"), 4, 0);
      if (!width.has_value() || *width % config.num_channels_dae != 0)
        return std::nullopt;
      config.ch_mult[level] = *width / config.num_channels_dae;
    }
    if (++block == config.num_res_blocks) {
      block = 0;
      ++level;
    }
  }
  return config;
}

}  // namespace

std::optional<ModelConfig> PublishedPreset(std::string_view name) {
  ModelConfig config;
  if (name == "cifar10") return config;
  if (name != "celebahq256" && name != "lsun256") return std::nullopt;
  config.image_size = 256;
  config.num_channels_dae = 64;
  config.ch_mult = {1, 1, 2, 2, 4, 4};
  config.n_mlp = 3;
  config.num_timesteps = name == "celebahq256" ? 2 : 4;
  return config;
}

std::optional<ModelConfig> GuessArchitecture(
    const std::vector<TensorShape>& tensors, const ModelConfig& otherwise) {
  ShapeOf shapes;
  for (const TensorShape& tensor : tensors) shapes[tensor.name] = tensor.shape;

  const std::string first_conv = "all_modules.2.weight";
  const std::optional<int> nf = SizeOf(shapes, first_conv, 4, 0);
  const std::optional<int> channels = SizeOf(shapes, first_conv, 4, 1);
  const std::optional<int> z_emb_dim =
      SizeOf(shapes, "z_transform.1.weight", 2, 0);
  const std::optional<int> nz = SizeOf(shapes, "z_transform.1.weight", 2, 1);
  if (!nf || !channels || !z_emb_dim || !nz || *nf > kMaxBaseWidth)
    return std::nullopt;
  const int num_modules = CountModules(shapes);

  ModelConfig config = otherwise;
  config.num_channels = *channels;
  config.num_channels_dae = *nf;
  config.z_emb_dim = *z_emb_dim;
  config.nz = *nz;
  config.n_mlp = 0;
  while (shapes.count(absl::StrCat("z_transform.", 2 * config.n_mlp + 3,
                                   ".weight")) != 0)
    ++config.n_mlp;
  config.progressive_input = AnyNameEndsWith(shapes, ".Conv2d_0.weight")
                                 ? "residual"
                             : HasCombine(shapes, num_modules) ? "input_skip"
                                                               : "none";
  for (const char* progressive : {"none", "output_skip"}) {
    config.progressive = progressive;
    for (int levels = 1; levels <= kMaxLevels; ++levels) {
      for (int blocks = 1; blocks <= kMaxBlocks; ++blocks) {
        config.num_res_blocks = blocks;
        for (unsigned attention = 0; attention < 1u << levels; ++attention) {
          const std::optional<ModelConfig> candidate =
              FitWidths(shapes, num_modules, config, levels, attention);
          if (candidate.has_value() && Matches(tensors, *candidate))
            return candidate;
        }
      }
    }
  }
  return std::nullopt;
}

std::string ArchitectureJson(const ModelConfig& config) {
  return absl::StrCat(
      "{\"image_size\": ", config.image_size,
      ", \"num_channels\": ", config.num_channels,
      ", \"num_channels_dae\": ", config.num_channels_dae, ", \"ch_mult\": [",
      absl::StrJoin(config.ch_mult, ", "),
      "], \"num_res_blocks\": ", config.num_res_blocks,
      ", \"attn_resolutions\": [", absl::StrJoin(config.attn_resolutions, ", "),
      "], \"progressive\": \"", config.progressive,
      "\", \"progressive_input\": \"", config.progressive_input,
      "\", \"nz\": ", config.nz, ", \"z_emb_dim\": ", config.z_emb_dim,
      ", \"n_mlp\": ", config.n_mlp, "}");
}

}  // namespace ddgan
