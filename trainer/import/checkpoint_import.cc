#include "trainer/import/checkpoint_import.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights_check.h"
#include "engine/model/generator_plan.h"
#include "trainer/import/architecture.h"
#include "trainer/import/pth_file.h"
#include "trainer/run/checkpoint_publisher.h"

namespace ddgan {
namespace {

// What DistributedDataParallel puts before every name.
constexpr char kWrapperPrefix[] = "module.";

// The tensors under the generator's own names.
std::vector<TensorShape> OwnNames(const std::vector<PickledTensor>& tensors) {
  const bool is_wrapped = std::all_of(
      tensors.begin(), tensors.end(), [](const PickledTensor& tensor) {
        return absl::StartsWith(tensor.name, kWrapperPrefix);
      });
  const size_t skip = is_wrapped ? sizeof(kWrapperPrefix) - 1 : 0;
  std::vector<TensorShape> shapes;
  for (const PickledTensor& tensor : tensors)
    shapes.push_back({tensor.name.substr(skip), tensor.shape});
  return shapes;
}

absl::Status DescribeMismatch(const std::filesystem::path& pth_file,
                              const absl::Status& mismatch,
                              const std::vector<TensorShape>& tensors,
                              const ModelConfig& config) {
  const std::optional<ModelConfig> guess = GuessArchitecture(tensors, config);
  return absl::InvalidArgumentError(absl::StrCat(
      pth_file.string(),
      ": does not fit the given architecture: ", mismatch.message(), ". ",
      guess.has_value()
          ? absl::StrCat("The file fits --config='", ArchitectureJson(*guess),
                         "'; image_size and num_timesteps cannot be seen in it")
          : "No architecture that this build supports fits the file"));
}

}  // namespace

absl::StatusOr<ModelIdentity> ImportCheckpoint(
    const std::filesystem::path& pth_file,
    const std::filesystem::path& model_root, int64_t version,
    const CheckpointConfig& config) {
  if (auto status = ValidateModelConfig(config.model_config); !status.ok())
    return status;
  const absl::StatusOr<PthFile> file = PthFile::Open(pth_file);
  if (!file.ok()) return file.status();

  const std::vector<TensorShape> shapes = OwnNames(file->tensors());
  const GeneratorPlan plan = PlanGenerator(config.model_config);
  if (auto status = CheckTensorShapes(shapes, plan); !status.ok())
    return DescribeMismatch(pth_file, status, shapes, config.model_config);

  const absl::StatusOr<std::vector<std::string>> values = file->ReadTensors();
  if (!values.ok()) return values.status();
  std::vector<TensorView> tensors;
  for (size_t i = 0; i < shapes.size(); ++i) {
    tensors.push_back({.name = shapes[i].name,
                       .dtype = file->dtype(file->tensors()[i]),
                       .shape = shapes[i].shape,
                       .data = (*values)[i]});
  }
  const absl::StatusOr<std::string> weights = SerializeSafetensors(tensors);
  if (!weights.ok()) return weights.status();
  return PublishCheckpoint(model_root, version, config, *weights);
}

}  // namespace ddgan
