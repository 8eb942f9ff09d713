#include "trainer/training_state.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>

#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/checkpoint/durable_file.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/sha256.h"
#include "trainer/trainer_options.h"

namespace ddgan {
namespace {

constexpr char kFingerprintKey[] = "fingerprint";
constexpr char kStepKey[] = "steps_done";
constexpr char kTrainingConfigKey[] = "training_config";
// Of the tensors' digests, in order.
constexpr char kDigestKey[] = "sha256_of_digests";

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

}  // namespace

std::vector<std::pair<std::string, at::Tensor>> TrainingStateTensors(
    const TrainingStep& training) {
  const auto scalar = [](const at::Tensor& t) { return t.view({1}); };
  return {
      {"generator.values", training.generator_parameters().values()},
      {"generator.exp_avg", training.generator_optimiser().exp_avg()},
      {"generator.exp_avg_sq", training.generator_optimiser().exp_avg_sq()},
      {"generator.adam_step", scalar(training.generator_optimiser().step())},
      {"generator.ema", training.ema().values()},
      {"discriminator.values", training.discriminator_parameters().values()},
      {"discriminator.exp_avg", training.discriminator_optimiser().exp_avg()},
      {"discriminator.exp_avg_sq",
       training.discriminator_optimiser().exp_avg_sq()},
      {"discriminator.adam_step",
       scalar(training.discriminator_optimiser().step())},
  };
}

absl::Status SaveTrainingState(const std::filesystem::path& path,
                               const TrainingStep& training, int64_t steps_done,
                               const std::string& fingerprint) {
  std::vector<TensorView> views;
  auto tensors = TrainingStateTensors(training);
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.cpu();  // Itself if it is there.
    views.push_back(View(name, tensor));
  }
  const absl::StatusOr<std::string> bytes =
      SerializeSafetensors(views, {{kFingerprintKey, fingerprint},
                                   {kStepKey, absl::StrCat(steps_done)},
                                   {kDigestKey, DigestOfData(views)}});
  if (!bytes.ok()) return bytes.status();
  return WriteFileDurably(path, *bytes);
}

absl::StatusOr<int64_t> LoadTrainingState(const std::filesystem::path& path,
                                          const std::string& fingerprint,
                                          TrainingStep& training) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(absl::StrCat(path.string(), ": no such file"));
  }
  std::stringstream buffer;
  buffer << file.rdbuf();
  const std::string bytes = std::move(buffer).str();
  const auto damaged = [&](absl::string_view why) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": not a whole training state: ", why));
  };
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(bytes);
  if (!view.ok()) return damaged(view.status().message());
  const auto found = view->metadata.find(kFingerprintKey);
  const auto step = view->metadata.find(kStepKey);
  const auto digest = view->metadata.find(kDigestKey);
  int64_t steps_done = 0;
  if (found == view->metadata.end() || step == view->metadata.end() ||
      digest == view->metadata.end() ||
      !absl::SimpleAtoi(step->second, &steps_done) || steps_done < 0) {
    return damaged("its metadata is missing");
  }
  if (DigestOfData(view->tensors) != digest->second) {
    return damaged("its digest does not match");
  }
  if (const std::string difference =
          DescribeFingerprintDifference(found->second, fingerprint);
      !difference.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path.string(), " is the state of another run (", difference,
        "): use the same options, or another --run_dir"));
  }

  // Defined before the first step, so that it can be restored like the others.
  training.ema().values() =
      training.generator_parameters().values().detach().clone();
  for (const auto& [name, tensor] : TrainingStateTensors(training)) {
    const TensorView* saved = view->Find(name);
    if (saved == nullptr || saved->dtype != DType::kFloat32 ||
        saved->shape != tensor.sizes().vec()) {
      return damaged(absl::StrCat(name, " is missing or of another shape"));
    }
    tensor.copy_(at::from_blob(const_cast<char*>(saved->data.data()),
                               saved->shape, at::kFloat));
  }
  return steps_done;
}

absl::StatusOr<std::string> SerializeEmaWeights(
    const TrainingStep& training, const std::vector<ParameterPlan>& plan,
    const std::string& training_config) {
  const Parameters weights =
      training.generator_parameters().Split(training.ema().values().cpu());
  std::vector<TensorView> views;
  for (size_t i = 0; i < plan.size(); ++i) {
    views.push_back(View(plan[i].name, weights[i]));
  }
  return SerializeSafetensors(views, {{kTrainingConfigKey, training_config}});
}

}  // namespace ddgan
