#include "trainer/evaluation/digit_classifier.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"
#include "engine/base/durable_file.h"
#include "engine/base/folder.h"
#include "engine/base/libtorch_errors.h"
#include "engine/base/sha256.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/model/generator.h"
#include "engine/model/generator_plan.h"
#include "trainer/dataset/data_order.h"
#include "trainer/networks/flat_parameters.h"
#include "trainer/step/adam.h"

namespace ddgan {
namespace {

constexpr int64_t kSide = 32;
constexpr size_t kPlane = size_t{kSide} * kSide;
// Pictures per forward pass where the caller has all of them.
constexpr size_t kEvaluationBatch = 250;

constexpr char kDoing[] = "the digit classifier";  // In LibTorch's errors.

constexpr char kKindKey[] = "kind";
constexpr char kKind[] = "ddgan digit classifier 1";
constexpr char kDigestKey[] = "sha256_of_digests";
// Some four times what such a file has.
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 20;

// Three convolutions, each halving the picture (32 -> 16 -> 8 -> 4), and a
// linear layer. He et al. (ICCV 2015) for the weights; biases are 0.
std::vector<ParameterPlan> PlanClassifier() {
  std::vector<ParameterPlan> plan;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t fan_in = 1;
    for (size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
    plan.push_back({name + ".bias", {shape[0]}, {}});
    plan.push_back({name + ".weight",
                    std::move(shape),
                    {.bound = std::sqrt(6 / static_cast<double>(fan_in))}});
  };
  add("conv0", {16, 1, 5, 5});
  add("conv1", {32, 16, 3, 3});
  add("conv2", {32, 32, 3, 3});
  add("linear", {kDigitCount, DigitClassifier::kFeatureCount});
  return plan;
}

// x [B, 1, 32, 32] in [0, 1] -> the last hidden layer [B, kFeatureCount].
at::Tensor Hidden(const Parameters& p, const at::Tensor& x) {
  at::Tensor h = at::relu(at::conv2d(x, p[1], p[0], /*stride=*/2,
                                     /*padding=*/2));
  h = at::max_pool2d(at::relu(at::conv2d(h, p[3], p[2], 1, 1)), 2);
  h = at::max_pool2d(at::relu(at::conv2d(h, p[5], p[4], 1, 1)), 2);
  return h.flatten(1);
}

// -> logits [B, 10].
at::Tensor Logits(const Parameters& p, const at::Tensor& hidden) {
  return at::linear(hidden, p[7], p[6]);
}

at::Tensor ToInput(absl::Span<const uint8_t> pixels) {
  const int64_t count = static_cast<int64_t>(pixels.size() / kPlane);
  const at::Tensor bytes =
      at::from_blob(const_cast<uint8_t*>(pixels.data()),
                    {count, 1, kSide, kSide}, at::TensorOptions(at::kByte));
  return bytes.to(at::kFloat) / 255;
}

absl::Status CheckPictures(const ImageDataset& pictures,
                           absl::Span<const uint8_t> labels) {
  const ImageShape& shape = pictures.shape();
  if (shape != ImageShape{1, kSide, kSide}) {
    return absl::InvalidArgumentError(
        absl::StrCat("pictures have the shape ", shape.channels, "x",
                     shape.height, "x", shape.width, ", must be 1x32x32"));
  }
  if (labels.size() != pictures.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        labels.size(), " labels for ", pictures.size(), " pictures"));
  }
  const auto bad =
      std::find_if(labels.begin(), labels.end(),
                   [](uint8_t label) { return label >= kDigitCount; });
  if (bad != labels.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("labels has ", *bad, ", must be in [0, 9]"));
  }
  return absl::OkStatus();
}

absl::Status CheckTraining(const DigitClassifier::Training& training) {
  for (const absl::Status& status :
       {CheckRange("epochs", training.epochs, 1, 100),
        CheckRange("batch_size", training.batch_size, 1, 4096)}) {
    if (!status.ok()) return status;
  }
  if (!(training.learning_rate > 0 && training.learning_rate <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "learning_rate is ", training.learning_rate, ", must be in (0, 1]"));
  }
  return absl::OkStatus();
}

TensorView View(const std::string& name, const at::Tensor& tensor) {
  return {name,
          DType::kFloat32,
          tensor.sizes().vec(),
          {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}};
}

std::string DigestOfData(const std::vector<TensorView>& views) {
  std::string digests;
  for (const TensorView& view : views) digests += Sha256Hex(view.data);
  return Sha256Hex(digests);
}

// What a classifier's file holds.
absl::StatusOr<std::string> Serialized(const Parameters& parameters) {
  const std::vector<ParameterPlan> plan = PlanClassifier();
  std::vector<TensorView> views;
  for (size_t i = 0; i < plan.size(); ++i) {
    views.push_back(View(plan[i].name, parameters[i]));
  }
  return SerializeSafetensors(
      views, {{kKindKey, kKind}, {kDigestKey, DigestOfData(views)}});
}

// A name alone is one in the working folder.
std::filesystem::path WithParent(const std::filesystem::path& path) {
  return std::filesystem::path(".") / path;
}

// Empty, or why `file` is no classifier.
std::string WhyNoClassifier(const SafetensorsView& file) {
  const auto kind = file.metadata.find(kKindKey);
  if (kind == file.metadata.end() || kind->second != kKind) {
    return absl::StrCat("its metadata do not say '", kKind, "'");
  }
  const auto digest = file.metadata.find(kDigestKey);
  if (digest == file.metadata.end() ||
      digest->second != DigestOfData(file.tensors)) {
    return "its digest does not match";
  }
  const std::vector<ParameterPlan> plan = PlanClassifier();
  for (const ParameterPlan& parameter : plan) {
    const TensorView* const view = file.Find(parameter.name);
    if (view == nullptr || view->dtype != DType::kFloat32 ||
        view->shape != parameter.shape) {
      return absl::StrCat(parameter.name, " is missing or of another shape");
    }
  }
  if (file.tensors.size() != plan.size()) return "it has other tensors, too";
  return "";
}

}  // namespace

struct DigitClassifier::Network {
  Parameters parameters;
};

DigitClassifier::DigitClassifier(std::unique_ptr<const Network> network,
                                 std::string digest)
    : network_(std::move(network)), digest_(std::move(digest)) {}

DigitClassifier::~DigitClassifier() = default;

absl::StatusOr<std::unique_ptr<DigitClassifier>> DigitClassifier::Train(
    const ImageDataset& pictures, absl::Span<const uint8_t> labels,
    const Training& training, const Progress& progress) {
  if (absl::Status s = CheckTraining(training); !s.ok()) return s;
  if (absl::Status s = CheckPictures(pictures, labels); !s.ok()) return s;
  const size_t batch = std::min<size_t>(training.batch_size, pictures.size());
  const int64_t steps_per_epoch = static_cast<int64_t>(pictures.size() / batch);
  const int64_t steps = training.epochs * steps_per_epoch;
  return CatchingLibTorch(
      kDoing, [&]() -> absl::StatusOr<std::unique_ptr<DigitClassifier>> {
        at::set_num_threads(1);
        FlatParameters parameters(
            InitialParameters(PlanClassifier(), training.seed), at::kCPU);
        Adam adam(parameters.values());
        std::vector<uint32_t> order;
        std::vector<uint8_t> pixels(batch * kPlane);
        const at::Tensor targets =
            at::empty({static_cast<int64_t>(batch)}, at::kLong);
        for (int64_t step = 0; step < steps; ++step) {
          const int64_t place = step % steps_per_epoch;
          if (place == 0) {
            order = EpochOrder(training.seed, step / steps_per_epoch,
                               pictures.size());
          }
          for (size_t row = 0; row < batch; ++row) {
            const uint32_t index = order[place * batch + row];
            if (absl::Status s = pictures.Image(
                    index, absl::MakeSpan(&pixels[row * kPlane], kPlane));
                !s.ok()) {
              return s;
            }
            targets.mutable_data_ptr<int64_t>()[row] = labels[index];
          }
          parameters.ZeroGradient();
          torch::autograd::backward({at::cross_entropy_loss(
              Logits(parameters.tensors(),
                     Hidden(parameters.tensors(), ToInput(pixels))),
              targets)});
          adam.Step(parameters, training.learning_rate *
                                    static_cast<double>(steps - step) /
                                    static_cast<double>(steps));
          progress(step + 1, steps);
        }
        parameters.SetRequiresGrad(false);
        const absl::StatusOr<std::string> bytes =
            Serialized(parameters.tensors());
        if (!bytes.ok()) return bytes.status();
        return std::unique_ptr<DigitClassifier>(new DigitClassifier(
            std::make_unique<const Network>(Network{parameters.tensors()}),
            Sha256Hex(*bytes)));
      });
}

absl::StatusOr<std::unique_ptr<DigitClassifier>> DigitClassifier::Load(
    const std::filesystem::path& path) {
  const std::filesystem::path full = WithParent(path);
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(path.string(), ": ", status.message()));
  };
  const absl::StatusOr<Folder> folder = Folder::Open(full.parent_path());
  if (!folder.ok()) return named(folder.status());
  const absl::StatusOr<std::string> bytes =
      folder->ReadFile(full.filename().string(), kMaxFileBytes);
  if (!bytes.ok()) return named(bytes.status());
  const auto damaged = [&](absl::string_view why) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": not a whole digit classifier: ", why));
  };
  const absl::StatusOr<SafetensorsView> file = ParseSafetensors(*bytes);
  if (!file.ok()) return damaged(file.status().message());
  if (const std::string why = WhyNoClassifier(*file); !why.empty()) {
    return damaged(why);
  }
  return CatchingLibTorch(
      kDoing, [&]() -> absl::StatusOr<std::unique_ptr<DigitClassifier>> {
        at::set_num_threads(1);
        Network network;
        for (const ParameterPlan& parameter : PlanClassifier()) {
          const TensorView& view = *file->Find(parameter.name);
          at::Tensor tensor = at::empty(view.shape, at::kFloat);
          std::memcpy(tensor.mutable_data_ptr(), view.data.data(),
                      view.data.size());
          if (!tensor.isfinite().all().item<bool>()) {
            return damaged(absl::StrCat(view.name, " is not finite"));
          }
          network.parameters.push_back(std::move(tensor));
        }
        return std::unique_ptr<DigitClassifier>(new DigitClassifier(
            std::make_unique<const Network>(std::move(network)),
            Sha256Hex(*bytes)));
      });
}

absl::Status DigitClassifier::Save(const std::filesystem::path& path) const {
  const absl::StatusOr<std::string> bytes = Serialized(network_->parameters);
  if (!bytes.ok()) return bytes.status();
  return WriteFileDurably(WithParent(path), *bytes);
}

absl::StatusOr<DigitClassifier::Answers> DigitClassifier::Answer(
    absl::Span<const uint8_t> pixels) const {
  if (pixels.size() % kPlane != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("pixels has ", pixels.size(),
                     " bytes, must be a multiple of ", kPlane));
  }
  if (pixels.empty()) return Answers();
  return CatchingLibTorch(kDoing, [&]() -> absl::StatusOr<Answers> {
    const at::NoGradGuard no_grad;
    const at::Tensor hidden =
        Hidden(network_->parameters, ToInput(pixels)).contiguous();
    const at::Tensor probabilities =
        at::softmax(Logits(network_->parameters, hidden), 1).contiguous();
    const auto values = [](const at::Tensor& tensor) {
      const float* const data = tensor.const_data_ptr<float>();
      return std::vector<float>(data, data + tensor.numel());
    };
    return Answers{values(hidden), values(probabilities)};
  });
}

absl::StatusOr<std::vector<DigitGuess>> DigitClassifier::Classify(
    absl::Span<const uint8_t> pixels) const {
  const absl::StatusOr<Answers> answers = Answer(pixels);
  if (!answers.ok()) return answers.status();
  std::vector<DigitGuess> guesses;
  for (size_t i = 0; i < pixels.size() / kPlane; ++i) {
    const float* const row = &answers->probabilities[i * kDigitCount];
    const float* const best = std::max_element(row, row + kDigitCount);
    guesses.push_back({static_cast<uint8_t>(best - row), *best});
  }
  return guesses;
}

absl::StatusOr<double> DigitClassifier::Accuracy(
    const ImageDataset& pictures, absl::Span<const uint8_t> labels) const {
  if (absl::Status s = CheckPictures(pictures, labels); !s.ok()) return s;
  size_t right = 0;
  std::vector<uint8_t> pixels;
  for (size_t first = 0; first < labels.size(); first += kEvaluationBatch) {
    const size_t count = std::min(kEvaluationBatch, labels.size() - first);
    pixels.resize(count * kPlane);
    for (size_t i = 0; i < count; ++i) {
      if (absl::Status s = pictures.Image(
              first + i, absl::MakeSpan(&pixels[i * kPlane], kPlane));
          !s.ok()) {
        return s;
      }
    }
    const absl::StatusOr<std::vector<DigitGuess>> guesses = Classify(pixels);
    if (!guesses.ok()) return guesses.status();
    for (size_t i = 0; i < count; ++i) {
      right += (*guesses)[i].digit == labels[first + i];
    }
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

}  // namespace ddgan
