#include "trainer/evaluation/features/efficientnet_lite0.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"
#include "engine/checkpoint/safetensors.h"
#include "trainer/evaluation/features/network_file.h"
#include "trainer/evaluation/features/picture_network.h"

namespace ddgan {
namespace {

constexpr char kName[] = "efficientnet-lite0";
constexpr char kFileName[] = "efficientnet-lite0.safetensors";
// As in docker/install_dependencies.sh.
constexpr char kDigest[] =
    "29510a0738ec614ea4f8bc9013d0eda833053c5b1b0442a77e0aefda26d0bd81";
constexpr char kHowToGetIt[] =
    "docker/install_dependencies.sh --evaluation installs it";
// Some twice what the file has.
constexpr uint64_t kMaxFileBytes = uint64_t{40} << 20;

constexpr int64_t kSide = 224;
constexpr double kBatchNormEpsilon = 1e-3;
constexpr int64_t kStemChannels = 32;

// Blocks of one width; the first has the stride.
struct Stage {
  int repeats;
  int64_t channels;
  int64_t kernel;
  int64_t stride;
  int64_t expansion;  // Width within a block, as a multiple of its input's.
};
constexpr Stage kStages[] = {
    {1, 16, 3, 1, 1},  {2, 24, 3, 2, 6},  {2, 40, 5, 2, 6}, {3, 80, 3, 2, 6},
    {3, 112, 5, 1, 6}, {4, 192, 5, 2, 6}, {1, 320, 3, 1, 6}};

// TensorFlow's SAME: ceil(H / stride) outputs, the smaller half of the padding
// first.
at::Tensor PadSame(const at::Tensor& x, int64_t kernel, int64_t stride) {
  const auto padding = [&](int64_t length) {
    const int64_t outputs = (length + stride - 1) / stride;
    return std::max<int64_t>((outputs - 1) * stride + kernel - length, 0);
  };
  const int64_t height = padding(x.size(2));
  const int64_t width = padding(x.size(3));
  return at::constant_pad_nd(
      x, {width / 2, width - width / 2, height / 2, height - height / 2});
}

}  // namespace

at::Tensor EfficientNetLite0::Convolution::operator()(
    const at::Tensor& x) const {
  at::Tensor y;
  if (kernel == 1) {
    // Of pictures with channels last it is one product of matrices.
    y = at::linear(x.permute({0, 2, 3, 1}), weight, bias).permute({0, 3, 1, 2});
  } else {
    const int64_t padding = stride == 1 ? kernel / 2 : 0;
    y = at::conv2d(stride == 1 ? x : PadSame(x, kernel, stride), weight, bias,
                   stride, padding, /*dilation=*/1, groups);
  }
  if (relu6) y.clamp_(0, 6);
  return y;
}

// Takes tensors by name; the first that is missing or of another shape is the
// error, and what is made after it has no meaning.
class EfficientNetLite0::Loader {
 public:
  explicit Loader(const SafetensorsView& file) : file_(file) {}

  at::Tensor Take(const std::string& name, const std::vector<int64_t>& shape) {
    const TensorView* const view = file_.Find(name);
    if (view == nullptr || view->dtype != DType::kFloat32 ||
        view->shape != shape) {
      if (status_.ok()) {
        status_ = absl::InvalidArgumentError(
            absl::StrCat("no EfficientNet-Lite0: ", name,
                         " is missing or of another shape"));
      }
      return at::zeros(shape);
    }
    return at::from_blob(const_cast<char*>(view->data.data()), shape,
                         at::TensorOptions(at::kFloat))
        .clone();
  }

  // The convolution `name` and the batch norm behind it, as one.
  Convolution TakeConvolution(const std::string& name, const std::string& norm,
                              const std::vector<int64_t>& shape, int64_t stride,
                              bool relu6) {
    Convolution result;
    result.kernel = shape[2];
    result.stride = stride;
    result.relu6 = relu6;
    // A depthwise convolution sees one channel at a time.
    result.groups = shape[1] == 1 ? shape[0] : 1;
    const auto of_norm = [&](const char* value) {
      return Take(absl::StrCat(norm, ".", value), {shape[0]}).to(at::kDouble);
    };
    const at::Tensor scale =
        of_norm("weight") / (of_norm("running_var") + kBatchNormEpsilon).sqrt();
    const at::Tensor weight = (Take(name + ".weight", shape).to(at::kDouble) *
                               scale.view({-1, 1, 1, 1}))
                                  .to(at::kFloat);
    result.weight = result.kernel == 1
                        ? weight.flatten(1).contiguous()
                        : weight.contiguous(at::MemoryFormat::ChannelsLast);
    result.bias =
        (of_norm("bias") - of_norm("running_mean") * scale).to(at::kFloat);
    return result;
  }

  const absl::Status& status() const { return status_; }

 private:
  const SafetensorsView& file_;
  absl::Status status_;
};

absl::StatusOr<EfficientNetLite0> EfficientNetLite0::FromSafetensors(
    std::string_view file) {
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(file);
  if (!view.ok()) return view.status();
  Loader loader(*view);
  EfficientNetLite0 network;
  network.stem_ = loader.TakeConvolution("_conv_stem", "_bn0",
                                         {kStemChannels, 3, 3, 3}, 2, true);
  int64_t channels = kStemChannels;
  for (const Stage& stage : kStages) {
    for (int repeat = 0; repeat < stage.repeats; ++repeat) {
      const std::string name =
          absl::StrCat("_blocks.", network.blocks_.size(), ".");
      const int64_t inner = channels * stage.expansion;
      Block block;
      if (stage.expansion != 1) {
        block.convolutions.push_back(
            loader.TakeConvolution(name + "_expand_conv", name + "_bn0",
                                   {inner, channels, 1, 1}, 1, true));
      }
      block.convolutions.push_back(
          loader.TakeConvolution(name + "_depthwise_conv", name + "_bn1",
                                 {inner, 1, stage.kernel, stage.kernel},
                                 repeat == 0 ? stage.stride : 1, true));
      block.convolutions.push_back(
          loader.TakeConvolution(name + "_project_conv", name + "_bn2",
                                 {stage.channels, inner, 1, 1}, 1, false));
      block.adds_input = repeat > 0;
      network.blocks_.push_back(std::move(block));
      channels = stage.channels;
    }
  }
  network.head_ = loader.TakeConvolution("_conv_head", "_bn1",
                                         {kFeatures, channels, 1, 1}, 1, true);
  network.classes_weight_ = loader.Take("_fc.weight", {kClasses, kFeatures});
  network.classes_bias_ = loader.Take("_fc.bias", {kClasses});
  if (!loader.status().ok()) return loader.status();
  return network;
}

EfficientNetLite0::Output EfficientNetLite0::Forward(
    const at::Tensor& pictures) const {
  at::Tensor x = pictures.to(at::kFloat);
  if (x.size(2) != kSide || x.size(3) != kSide) {
    x = at::upsample_bilinear2d(x, {kSide, kSide}, /*align_corners=*/false);
  }
  x = ((x - 127) / 128).contiguous(at::MemoryFormat::ChannelsLast);
  x = stem_(x);
  for (const Block& block : blocks_) {
    at::Tensor y = x;
    for (const Convolution& convolution : block.convolutions) {
      y = convolution(y);
    }
    x = block.adds_input ? y.add_(x) : y;
  }
  const at::Tensor features = head_(x).mean({2, 3});
  return {features, at::linear(features, classes_weight_, classes_bias_)};
}

namespace {

class EfficientNetFeatures : public PictureNetwork {
 public:
  explicit EfficientNetFeatures(EfficientNetLite0 network)
      : PictureNetwork({.name = kName,
                        .digest = kDigest,
                        .wants_colour = true,
                        .feature_count = EfficientNetLite0::kFeatures,
                        .class_count = EfficientNetLite0::kClasses}),
        network_(std::move(network)) {}

 private:
  absl::StatusOr<PictureFeatures> Look(
      const at::Tensor& picture) const override {
    const EfficientNetLite0::Output output = network_.Forward(picture);
    return PictureFeatures{ValuesOf(output.features),
                           ValuesOf(at::softmax(output.logits, 1))};
  }

  const EfficientNetLite0 network_;
};

}  // namespace

std::filesystem::path EfficientNetLite0File(const Environment& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return std::filesystem::path(found == environment.end() ? ""
                                                            : found->second);
  };
  std::filesystem::path folder = value("DDGAN_EVALUATION_DIR");
  if (folder.empty()) {
    folder = value("DDGAN_DEPS");
    if (folder.empty()) folder = value("XDG_CACHE_HOME") / "ddgan";
    if (folder == "ddgan") folder = value("HOME") / ".cache" / "ddgan";
    folder /= "evaluation";
  }
  return folder / kFileName;
}

absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenEfficientNetLite0(
    const std::filesystem::path& path) {
  const absl::StatusOr<NetworkFile> file = ReadNetworkFile(path, kMaxFileBytes);
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(
        absl::StrCat(file.status().message(), "; ", kHowToGetIt));
  }
  if (!file.ok()) return file.status();
  if (absl::Status s = CheckDigest(*file, kDigest); !s.ok()) {
    return absl::Status(s.code(), absl::StrCat(s.message(), "; ", kHowToGetIt));
  }
  return CatchingLibTorch(
      kName, [&]() -> absl::StatusOr<std::unique_ptr<FeatureNetwork>> {
        absl::StatusOr<EfficientNetLite0> network =
            EfficientNetLite0::FromSafetensors(file->bytes);
        if (!network.ok()) return network.status();
        return std::make_unique<EfficientNetFeatures>(*std::move(network));
      });
}

}  // namespace ddgan
