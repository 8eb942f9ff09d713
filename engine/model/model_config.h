// The numbers that define a DDGAN generator and its diffusion process, under
// the option names of the published command lines. Plain data, no LibTorch.
#ifndef DDGAN_ENGINE_MODEL_MODEL_CONFIG_H_
#define DDGAN_ENGINE_MODEL_MODEL_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/update_rule.h"

namespace ddgan {

// Defaults are the CIFAR-10 configuration of the published readme.
struct ModelConfig {
  int image_size = 32;         // Height and width in pixels. [8, 1024]
  int num_channels = 3;        // Image channels: 1 (gray) or 3 (RGB).
  int num_channels_dae = 128;  // Base width nf of the U-Net. [4, 1024]
  // Width factor per level, each in [1, 8]; 1 to 8 levels, each of half the
  // resolution of the one before.
  std::vector<int> ch_mult = {1, 2, 2, 2};
  int num_res_blocks = 2;                      // Per level. [1, 8]
  std::vector<int> attn_resolutions = {16};    // Pixels. [1, 64], at most 16.
  std::string resblock_type = "biggan";        // Only "biggan".
  std::string progressive = "none";            // "none" or "output_skip".
  std::string progressive_input = "residual";  // "none", "residual" or
                                               // "input_skip".
  std::string progressive_combine = "sum";     // Only "sum".
  std::string embedding_type = "positional";   // Only "positional".
  double fourier_scale = 16;                   // Read, unused: no Fourier mode.
  bool fir = true;                             // Only true.
  std::vector<double> fir_kernel = {1, 3, 3, 1};  // 4 taps.
  bool skip_rescale = true;                       // Only true.
  bool resamp_with_conv = true;                   // Only true.
  bool conditional = true;                        // Only true.
  bool centered = true;                           // Only true.
  bool not_use_tanh = false;                      // Only false.
  double dropout = 0;                             // Only 0.
  int nz = 100;                                   // Latent size. [1, 4096]
  int z_emb_dim = 256;                            // Style size. [1, 4096]
  int n_mlp = 4;  // Hidden layers of the latent mapping. [1, 16]

  int num_timesteps = 4;  // Denoising steps T. [1, 1000]
  double beta_min = 0.1;  // Schedule end points: VP, or geometric with
  double beta_max = 20;   // 0 < beta_min < beta_max < 1.
  bool use_geometric = false;

  // What the weights were trained for: "adversarial", a sample of the denoising
  // distribution for each latent z; or "denoising", its mean, with z = 0.
  std::string objective = "adversarial";
  // How images are made: engine/diffusion/update_rule.h.
  std::string sampler = "ancestral";

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// Whether z is 0 at every evaluation.
bool IsDenoiser(const ModelConfig& config);

// The diffusion process that `config` asks for.
DiffusionProcess ProcessOf(const ModelConfig& config);

// How an image is made, and in how many evaluations of the network. `config` is
// valid.
SamplingPlan PlanOf(const ModelConfig& config);
int EvaluationsPerImage(const ModelConfig& config);

// InvalidArgument that names the key, its value and what is allowed: for a
// number out of its range, an option value that this build does not support,
// widths that GroupNorm cannot divide (MODEL.md 3.1), or numbers that together
// ask for absurd memory: over 2^30 weights, over 2^28 values in a layer of one
// image, or attention over more than 64x64 pixels.
absl::Status ValidateModelConfig(const ModelConfig& config);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_MODEL_CONFIG_H_
