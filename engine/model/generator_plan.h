// The order, widths and parameter names of a generator's modules (MODEL.md 3.2
// and 3.3), computed from the config alone. The generator is built from this
// plan, and loader, importer and trainer check or create weights by it, so
// there is one place that numbers `all_modules.<i>`. No LibTorch.
#ifndef DDGAN_ENGINE_MODEL_GENERATOR_PLAN_H_
#define DDGAN_ENGINE_MODEL_GENERATOR_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/model_config.h"

namespace ddgan {

enum class ModuleKind {
  kLinear,        // time MLP
  kConv3x3,       // first convolution, or an output head's
  kResBlock,      // plain, 1x1 skip if widths differ
  kResBlockDown,  // halves the resolution
  kResBlockUp,    // doubles the resolution
  kAttention,
  kConvDown,   // input pyramid, progressive_input = residual
  kCombine,    // 1x1 convolution, progressive_input = input_skip
  kGroupNorm,  // affine, before an output head's convolution
};

// One entry of `all_modules`.
struct ModulePlan {
  ModuleKind kind;
  int in_channels;
  int out_channels;
  int resolution;  // of the module's input, pixels; 0 for kLinear
};

// How a fresh parameter is drawn (MODEL.md 3.4).
struct ParameterInit {
  // U(-bound, bound); 0 means the constants below.
  double bound = 0;
  double first_half = 0;   // value of elements [0, n/2)
  double second_half = 0;  // value of elements [n/2, n)
};

// True for a residual block whose skip path has a 1x1 convolution (Conv_2): one
// that changes width or resolution.
bool HasSkipConv(const ModulePlan& module);

struct ParameterPlan {
  std::string name;  // e.g. "all_modules.3.Conv_0.weight"
  std::vector<int64_t> shape;
  ParameterInit init;
};

struct GeneratorPlan {
  std::vector<ModulePlan> modules;
  // In the order of the reference's parameters(): modules first, z mapping
  // last.
  std::vector<ParameterPlan> parameters;
};

// `config` must be valid (ValidateModelConfig).
std::vector<ModulePlan> PlanModules(const ModelConfig& config);
GeneratorPlan PlanGenerator(const ModelConfig& config);

// min(channels / 4, 32), as everywhere in the generator (MODEL.md 3.1).
int GroupNormGroups(int channels);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_GENERATOR_PLAN_H_
