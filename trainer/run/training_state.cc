#include "trainer/run/training_state.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>

#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "engine/base/folder.h"
#include "engine/base/sha256.h"
#include "engine/checkpoint/safetensors.h"
#include "trainer/options/trainer_options.h"
#include "trainer/run/state_files.h"

namespace ddgan {
namespace {

constexpr char kFingerprintKey[] = "fingerprint";
constexpr char kStepKey[] = "steps_done";
constexpr char kSamplesKey[] = "samples";
constexpr char kTrainingConfigKey[] = "training_config";
// Of the whole file, in which zeros stand in the place of the digest.
constexpr char kDigestKey[] = "sha256";
const std::string kNoDigest(64, '0');

TensorView View(const std::string& name, const at::Tensor& tensor) {
  return {name,
          DType::kFloat32,
          tensor.sizes().vec(),
          {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}};
}

// Whether the digest that `view`, of `bytes`, has in its metadata is theirs. It
// leaves zeros in the digest's place.
bool DigestMatches(const SafetensorsView& view, std::string& bytes) {
  const auto digest = view.metadata.find(kDigestKey);
  if (digest == view.metadata.end() ||
      digest->second.size() != kNoDigest.size())
    return false;
  const size_t place = bytes.find(digest->second);
  if (place == std::string::npos) return false;
  bytes.replace(place, kNoDigest.size(), kNoDigest);
  return Sha256Hex(bytes) == digest->second;
}

std::string ValueOf(const SafetensorsView& view, const char* key) {
  const auto found = view.metadata.find(key);
  return found == view.metadata.end() ? "" : found->second;
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor>> TrainingStateTensors(
    const TrainingStep& training) {
  const auto scalar = [](const at::Tensor& t) { return t.view({1}); };
  std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"generator.values", training.generator_parameters().values()},
      {"generator.exp_avg", training.generator_optimiser().exp_avg()},
      {"generator.exp_avg_sq", training.generator_optimiser().exp_avg_sq()},
      {"generator.adam_step", scalar(training.generator_optimiser().step())},
      {"generator.ema", training.ema().values()},
  };
  if (training.has_discriminator()) {
    const Adam& optimiser = training.discriminator_optimiser();
    tensors.insert(
        tensors.end(),
        {{"discriminator.values", training.discriminator_parameters().values()},
         {"discriminator.exp_avg", optimiser.exp_avg()},
         {"discriminator.exp_avg_sq", optimiser.exp_avg_sq()},
         {"discriminator.adam_step", scalar(optimiser.step())}});
  }
  return tensors;
}

absl::Status SaveTrainingState(const std::filesystem::path& folder,
                               const TrainingStep& training, int64_t steps_done,
                               const StateIdentity& identity) {
  std::vector<TensorView> views;
  auto tensors = TrainingStateTensors(training);
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.cpu();  // Itself if it is there.
    views.push_back(View(name, tensor));
  }
  absl::StatusOr<std::string> bytes = SerializeSafetensors(
      views, {{kFingerprintKey, identity.fingerprint},
              {kSamplesKey, absl::StrCat(identity.samples)},
              {kStepKey, absl::StrCat(steps_done)},
              {kDigestKey, kNoDigest}});
  if (!bytes.ok()) return bytes.status();
  const std::string digest = Sha256Hex(*bytes);
  bytes->replace(bytes->find(kNoDigest), kNoDigest.size(), digest);
  return WriteFileDurably(folder / StateFileName(steps_done), *bytes);
}

absl::Status LoadTrainingState(const std::filesystem::path& folder,
                               int64_t steps_done,
                               const StateIdentity& identity,
                               TrainingStep& training) {
  const std::filesystem::path path = folder / StateFileName(steps_done);
  // The operator may have moved it to another disk and left a link.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return PathError(error.value(), "open", path);
  const absl::StatusOr<Folder> run = Folder::Open(real.parent_path());
  if (!run.ok()) return run.status();
  absl::StatusOr<std::string> file = run->ReadFile(
      real.filename().string(), std::numeric_limits<uint64_t>::max());
  if (!file.ok()) {
    return absl::Status(
        file.status().code(),
        absl::StrCat(path.string(), ": ", file.status().message()));
  }
  std::string bytes = *std::move(file);
  const auto damaged = [&](absl::string_view why) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": not a whole training state: ", why));
  };
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(bytes);
  if (!view.ok()) return damaged(view.status().message());
  if (!DigestMatches(*view, bytes)) {
    return damaged(
        "it has no digest that matches its bytes, because they changed or an "
        "earlier version of ddgan-train wrote them");
  }
  if (const std::string step = ValueOf(*view, kStepKey);
      step != absl::StrCat(steps_done)) {
    return damaged(absl::StrCat("it is the one after step ", step));
  }
  const auto another = [&](absl::string_view difference) {
    return absl::InvalidArgumentError(absl::StrCat(
        path.string(), " is the state of another run (", difference,
        "): use the same options and data, or another --run_dir"));
  };
  if (const std::string difference = DescribeFingerprintDifference(
          ValueOf(*view, kFingerprintKey), identity.fingerprint);
      !difference.empty()) {
    return another(difference);
  }
  if (const std::string samples = ValueOf(*view, kSamplesKey);
      samples != absl::StrCat(identity.samples)) {
    return another(absl::StrCat("on a data set of ", samples,
                                " samples, this one has ", identity.samples));
  }

  // Defined before the first step, so that it can be restored like the others.
  training.ema().values() =
      training.generator_parameters().values().detach().clone();
  const auto tensors = TrainingStateTensors(training);
  for (const auto& [name, tensor] : tensors) {
    const TensorView* saved = view->Find(name);
    if (saved == nullptr || saved->dtype != DType::kFloat32 ||
        saved->shape != tensor.sizes().vec()) {
      training.ema().values() = at::Tensor();
      return damaged(absl::StrCat(name, " is missing or of another shape"));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    tensor.copy_(at::from_blob(const_cast<char*>(view->Find(name)->data.data()),
                               tensor.sizes(), at::kFloat));
  }
  return absl::OkStatus();
}

absl::Status ShareTrainingState(ProcessGroup& group, TrainingStep& training,
                                int64_t* steps_done) {
  if (group.size() == 1) return absl::OkStatus();
  const at::Tensor& generator = training.generator_parameters().values();
  const at::Tensor steps =
      at::full({1}, *steps_done, generator.options().dtype(at::kLong));
  if (absl::Status status = group.BroadcastFromFirst(steps); !status.ok())
    return status;
  *steps_done = steps.item<int64_t>();
  std::vector<at::Tensor> shared = {generator};
  if (training.has_discriminator())
    shared.push_back(training.discriminator_parameters().values());
  if (*steps_done > 0) {
    // Memory for the average, which no process but the first has yet.
    if (!training.ema().values().defined()) training.ema().Update(generator);
    shared.clear();
    for (auto& [name, tensor] : TrainingStateTensors(training))
      shared.push_back(tensor);
  }
  for (const at::Tensor& tensor : shared) {
    if (absl::Status status = group.BroadcastFromFirst(tensor); !status.ok())
      return status;
  }
  return absl::OkStatus();
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
