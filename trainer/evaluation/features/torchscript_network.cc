#include "trainer/evaluation/features/torchscript_network.h"

#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/base/libtorch_errors.h"
#include "trainer/evaluation/features/network_file.h"
#include "trainer/evaluation/features/picture_network.h"

namespace ddgan {
namespace {

// The files of https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/
// pretrained/metrics/, as several programs that download them check them.
constexpr char kInceptionDigest[] =
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4";
constexpr char kVgg16Digest[] =
    "b437eb095feaeb0b83eb3fa11200ebca4548ee39a07fb944a417ddc516cc07c3";

constexpr uint64_t kMaxFileBytes = uint64_t{2} << 30;
constexpr int64_t kProbeSide = 64;
constexpr size_t kMaxValues = size_t{1} << 20;  // Of one picture.

constexpr char kCalling[] = "its forward fails";
constexpr char kReturnFeatures[] = "return_features";
constexpr char kNoOutputBias[] = "no_output_bias";

// What LibTorch reads a program from: the bytes that were digested.
class Bytes : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}

  size_t size() const override { return bytes_.size(); }
  size_t read(uint64_t position, void* buffer, size_t count,
              const char* /*what*/) const override {
    if (position >= bytes_.size()) return 0;
    const size_t part = std::min<uint64_t>(count, bytes_.size() - position);
    std::memcpy(buffer, bytes_.data() + position, part);
    return part;
  }

 private:
  const std::string bytes_;
};

// LibTorch's message on one line: of an error within a program, which begins
// with a traceback, the last; else the first.
std::string OneLine(absl::string_view message) {
  const std::vector<absl::string_view> lines =
      absl::StrSplit(message, '\n', absl::SkipWhitespace());
  if (lines.empty()) return "";
  const absl::string_view line =
      absl::StrContains(message, "Traceback of TorchScript") ? lines.back()
                                                             : lines.front();
  return std::string(absl::StripAsciiWhitespace(line).substr(0, 200));
}

absl::Status NotByConvention(const std::string& path, absl::string_view why) {
  return absl::DataLossError(absl::StrCat(
      path, ": no network by the convention of StyleGAN's metrics: ", why));
}

bool IsDistribution(const std::vector<float>& values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return std::abs(sum - 1) < 1e-3 &&
         std::all_of(values.begin(), values.end(),
                     [](float value) { return value >= 0; });
}

// The program and its calls. Const methods are thread-safe.
class Program {
 public:
  explicit Program(torch::jit::Module module)
      : module_(std::move(module)), forward_(module_.get_method("forward")) {
    knows_bias_ = TakesArgument(kNoOutputBias);
  }

  bool TakesArgument(const char* name) const {
    return forward_.function()
        .getSchema()
        .argumentIndexWithName(name)
        .has_value();
  }

  // Values for one picture. Internal for anything else, ResourceExhausted if
  // memory runs out.
  absl::StatusOr<std::vector<float>> Features(const at::Tensor& picture) const {
    return Call(picture, {{kReturnFeatures, true}});
  }
  absl::StatusOr<std::vector<float>> Probabilities(
      const at::Tensor& picture) const {
    torch::jit::Kwargs arguments;
    if (knows_bias_) arguments[kNoOutputBias] = true;
    return Call(picture, arguments);
  }

 private:
  // The message is one line, to stand behind the file's name.
  absl::StatusOr<std::vector<float>> Call(
      const at::Tensor& picture, const torch::jit::Kwargs& arguments) const {
    absl::StatusOr<std::vector<float>> values = CatchingLibTorch(
        kCalling, [&] { return CallOrThrow(picture, arguments); });
    if (values.ok()) return values;
    return absl::Status(values.status().code(),
                        OneLine(values.status().message()));
  }

  absl::StatusOr<std::vector<float>> CallOrThrow(
      const at::Tensor& picture, const torch::jit::Kwargs& arguments) const {
    // Optimised by what earlier calls saw, a program may round otherwise.
    const torch::jit::GraphOptimizerEnabledGuard not_optimised(false);
    // A copy: the first of two calls may work in place.
    const c10::IValue result = forward_({picture.clone()}, arguments);
    if (!result.isTensor()) {
      return absl::InternalError("its forward gives no tensor");
    }
    const at::Tensor& values = result.toTensor();
    if (!values.defined() || values.dim() < 2 || values.size(0) != 1 ||
        values.numel() < 1 ||
        static_cast<size_t>(values.numel()) > kMaxValues) {
      return absl::InternalError(
          absl::StrCat("its forward gives no row of 1 to ", kMaxValues,
                       " values for one picture"));
    }
    return ValuesOf(values);
  }

  torch::jit::Module module_;
  torch::jit::Method forward_;
  bool knows_bias_ = false;
};

class TorchScriptNetwork : public PictureNetwork {
 public:
  TorchScriptNetwork(Description description, Program program)
      : PictureNetwork(std::move(description)), program_(std::move(program)) {}

 private:
  absl::StatusOr<PictureFeatures> Look(
      const at::Tensor& picture) const override {
    PictureFeatures rows;
    absl::StatusOr<std::vector<float>> features = program_.Features(picture);
    if (!features.ok()) return Named(features.status());
    rows.features = *std::move(features);
    if (class_count() > 0) {
      absl::StatusOr<std::vector<float>> probabilities =
          program_.Probabilities(picture);
      if (!probabilities.ok()) return Named(probabilities.status());
      rows.probabilities = *std::move(probabilities);
    }
    return rows;
  }

  absl::Status Named(const absl::Status& status) const {
    return absl::Status(status.code(),
                        absl::StrCat(name(), ": ", status.message()));
  }

  const Program program_;
};

absl::StatusOr<std::unique_ptr<FeatureNetwork>> Load(NetworkFile file) {
  const at::NoGradGuard no_grad;
  torch::jit::Module module =
      torch::jit::load(std::make_shared<Bytes>(std::move(file.bytes)), at::kCPU,
                       /*load_debug_files=*/false);
  module.eval();
  if (!module.find_method("forward").has_value()) {
    return NotByConvention(file.path, "it has no forward");
  }
  Program program(std::move(module));
  if (!program.TakesArgument(kReturnFeatures)) {
    return NotByConvention(file.path,
                           "its forward has no argument return_features");
  }
  const at::Tensor probe =
      at::full({1, 3, kProbeSide, kProbeSide}, 128, at::kByte);
  const absl::StatusOr<std::vector<float>> features = program.Features(probe);
  if (absl::IsInternal(features.status())) {
    return NotByConvention(file.path, features.status().message());
  }
  if (!features.ok()) return features.status();
  const absl::StatusOr<std::vector<float>> probabilities =
      program.Probabilities(probe);
  if (absl::IsResourceExhausted(probabilities.status())) {
    return probabilities.status();
  }
  const bool has_classes = probabilities.ok() && IsDistribution(*probabilities);
  PictureNetwork::Description description;
  description.name = file.path;
  description.digest = file.digest;
  description.is_inception = file.digest == kInceptionDigest;
  description.wants_colour = true;
  description.feature_count = static_cast<int64_t>(features->size());
  description.class_count =
      has_classes ? static_cast<int64_t>(probabilities->size()) : 0;
  return std::make_unique<TorchScriptNetwork>(std::move(description),
                                              std::move(program));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenTorchScriptNetwork(
    const std::string& path, const std::string& digest) {
  absl::StatusOr<NetworkFile> file = ReadNetworkFile(path, kMaxFileBytes);
  if (!file.ok()) return file.status();
  if (!digest.empty()) {
    if (absl::Status s = CheckDigest(*file, digest); !s.ok()) return s;
  } else if (file->digest != kInceptionDigest && file->digest != kVgg16Digest) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": a TorchScript file is a program, and this one is not known here; if "
        "you trust where it came from, give the SHA-256 that is stated there, "
        "or that sha256sum prints, by --features_digest"));
  }
  absl::StatusOr<std::unique_ptr<FeatureNetwork>> network =
      CatchingLibTorch(path, [&] { return Load(*std::move(file)); });
  if (!absl::IsInternal(network.status())) return network;
  // What LibTorch threw while it loaded or tried the program.
  return NotByConvention(path,
                         OneLine(absl::StripPrefix(network.status().message(),
                                                   absl::StrCat(path, ": "))));
}

}  // namespace ddgan
