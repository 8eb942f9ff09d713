#include "trainer/import/checkpoint_import.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights_check.h"
#include "engine/model/generator_plan.h"
#include "trainer/import/architecture.h"
#include "trainer/import/name_prefix.h"
#include "trainer/import/weights_source.h"
#include "trainer/run/checkpoint_publisher.h"

namespace ddgan {
namespace {

absl::Status DescribeMismatch(const std::filesystem::path& file,
                              const absl::Status& mismatch,
                              const std::vector<TensorShape>& tensors,
                              const ModelConfig& config) {
  const std::optional<ModelConfig> guess = GuessArchitecture(tensors, config);
  return absl::InvalidArgumentError(absl::StrCat(
      file.string(),
      ": does not fit the given architecture: ", mismatch.message(), ". ",
      guess.has_value()
          ? absl::StrCat("The file fits --config='", ArchitectureJson(*guess),
                         "'; image_size and num_timesteps cannot be seen in it")
          : "No architecture that this build supports fits the file"));
}

}  // namespace

absl::StatusOr<ImportedVersion> ImportCheckpoint(
    const std::filesystem::path& file, const std::filesystem::path& model_root,
    int64_t version, const CheckpointConfig& config) {
  if (auto status = ValidateModelConfig(config.model_config); !status.ok())
    return status;
  const absl::StatusOr<std::unique_ptr<WeightsSource>> source =
      WeightsSource::Open(file);
  if (!source.ok()) return source.status();

  std::vector<TensorShape> shapes = (*source)->shapes();
  const std::string prefix = CommonPrefix(shapes);
  for (TensorShape& tensor : shapes) tensor.name.erase(0, prefix.size());
  const GeneratorPlan plan = PlanGenerator(config.model_config);
  if (auto status = CheckTensorShapes(shapes, plan); !status.ok())
    return DescribeMismatch(file, status, shapes, config.model_config);

  const absl::StatusOr<std::vector<std::string>> values =
      (*source)->ReadFloats();
  if (!values.ok()) return values.status();
  std::vector<TensorView> tensors;
  for (size_t i = 0; i < shapes.size(); ++i) {
    tensors.push_back({.name = shapes[i].name,
                       .dtype = DType::kFloat32,
                       .shape = shapes[i].shape,
                       .data = (*values)[i]});
  }
  const absl::StatusOr<std::string> weights = SerializeSafetensors(tensors);
  if (!weights.ok()) return weights.status();
  absl::StatusOr<ModelIdentity> identity =
      PublishCheckpoint(model_root, version, config, *weights);
  if (!identity.ok()) return identity.status();
  ImportedVersion imported = {*std::move(identity), (*source)->remarks()};
  if (!prefix.empty()) {
    imported.remarks.push_back(
        absl::StrCat("taken off the names: ", DescribePrefix(prefix)));
  }
  return imported;
}

}  // namespace ddgan
