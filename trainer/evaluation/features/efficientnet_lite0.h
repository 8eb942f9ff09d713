// EfficientNet-Lite0 (Tan and Le, ICML 2019; the "lite" variant: no
// squeeze-and-excitation, ReLU6), trained on ImageNet.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_EFFICIENTNET_LITE0_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_EFFICIENTNET_LITE0_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/program_options.h"
#include "trainer/evaluation/features/feature_network.h"

namespace ddgan {

// Const methods are thread-safe.
class EfficientNetLite0 {
 public:
  static constexpr int64_t kFeatures = 1280;
  static constexpr int64_t kClasses = 1000;

  struct Output {
    at::Tensor features;  // float32 [n, kFeatures]: averages over the picture.
    at::Tensor logits;    // float32 [n, kClasses]
  };

  // `file` is what docker/install_dependencies.sh --evaluation makes. Copies
  // what it needs. InvalidArgument, which names the tensor, if it is not that;
  // throws what LibTorch throws.
  static absl::StatusOr<EfficientNetLite0> FromSafetensors(
      std::string_view file);

  // `pictures` is uint8 [n, 3, H, W]: RGB of any size. Throws what LibTorch
  // throws.
  Output Forward(const at::Tensor& pictures) const;

 private:
  // A convolution without padding of its own, and the batch norm behind it in
  // its weight and bias.
  struct Convolution {
    int64_t kernel = 1;
    int64_t stride = 1;
    int64_t groups = 1;
    bool relu6 = false;
    at::Tensor weight;  // [out, in / groups, k, k]; [out, in] if k is 1.
    at::Tensor bias;    // [out]

    // x [n, in, H, W] -> [n, out, ceil(H / stride), ceil(W / stride)], both
    // channels last, with TensorFlow's SAME padding.
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Block {
    std::vector<Convolution> convolutions;  // Expand, depthwise, project.
    bool adds_input = false;
  };
  class Loader;

  EfficientNetLite0() = default;

  Convolution stem_;
  std::vector<Block> blocks_;
  Convolution head_;
  at::Tensor classes_weight_;
  at::Tensor classes_bias_;
};

// Where docker/install_dependencies.sh puts the weights: the folder that
// DDGAN_EVALUATION_DIR names, or `evaluation` in DDGAN_DEPS, or in the default
// of that.
std::filesystem::path EfficientNetLite0File(const Environment& environment);

// The network as features. Fails as OpenFeatureNetwork does.
absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenEfficientNetLite0(
    const std::filesystem::path& path);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_EFFICIENTNET_LITE0_H_
