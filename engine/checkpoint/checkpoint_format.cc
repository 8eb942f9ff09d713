#include "engine/checkpoint/checkpoint_format.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/folder.h"
#include "engine/base/sha256.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights_check.h"
#include "engine/model/generator_plan.h"

namespace ddgan {
namespace {

// The header of a weights file is names, shapes and offsets.
constexpr uint64_t kMaxWeightsHeaderBytes = uint64_t{1} << 24;

absl::Status Annotate(const std::string& where, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(where, ": ", status.message()));
}

// Reads a file that the manifest describes, and checks size and digest.
absl::StatusOr<std::string> ReadListedFile(const Folder& folder,
                                           const char* name,
                                           const ManifestEntry& entry,
                                           uint64_t max_bytes) {
  absl::StatusOr<uint64_t> size = folder.FileSize(name);
  if (!size.ok()) return size.status();
  if (*size != entry.size) {
    return absl::DataLossError(
        absl::StrCat("has ", *size, " bytes, the manifest says ", entry.size));
  }
  absl::StatusOr<std::string> bytes = folder.ReadFile(name, max_bytes);
  if (!bytes.ok()) return bytes.status();
  const std::string digest = Sha256Hex(*bytes);
  if (digest != entry.sha256) {
    return absl::DataLossError(absl::StrCat(
        "has sha256 ", digest, ", the manifest says ", entry.sha256));
  }
  return bytes;
}

uint64_t MaxWeightsBytes(const GeneratorPlan& plan) {
  uint64_t bytes = kMaxWeightsHeaderBytes;
  for (const ParameterPlan& parameter : plan.parameters) {
    uint64_t values = 1;
    for (int64_t size : parameter.shape) values *= static_cast<uint64_t>(size);
    bytes += values * sizeof(float);
  }
  return std::min(bytes, kMaxWeightsBytes);
}

}  // namespace

absl::StatusOr<Checkpoint> ReadCheckpoint(
    const std::filesystem::path& model_root, const std::string& model,
    int64_t version) {
  if (!IsModelName(model) || version < 1) {
    return absl::NotFoundError(absl::StrCat("no version ", version,
                                            " of a model ", Abbreviated(model),
                                            " can exist"));
  }
  absl::StatusOr<Folder> root = Folder::Open(model_root);
  if (!root.ok()) return root.status();
  absl::StatusOr<Folder> model_folder = root->OpenFolder(model);
  if (!model_folder.ok()) return Annotate(model, model_folder.status());
  const std::string where = absl::StrCat(model, "/", version);
  absl::StatusOr<Folder> folder =
      model_folder->OpenFolder(absl::StrCat(version));
  if (!folder.ok()) return Annotate(where, folder.status());
  const auto annotate = [&](const char* file, const absl::Status& status) {
    return Annotate(absl::StrCat(where, "/", file), status);
  };

  const absl::StatusOr<std::string> manifest_bytes =
      folder->ReadFile(kManifestFileName, kMaxJsonBytes);
  if (!manifest_bytes.ok())
    return annotate(kManifestFileName, manifest_bytes.status());
  const absl::StatusOr<Manifest> manifest = ParseManifest(*manifest_bytes);
  if (!manifest.ok()) return annotate(kManifestFileName, manifest.status());

  const absl::StatusOr<std::string> config_bytes =
      ReadListedFile(*folder, kConfigFileName, manifest->config, kMaxJsonBytes);
  if (!config_bytes.ok())
    return annotate(kConfigFileName, config_bytes.status());
  absl::StatusOr<CheckpointConfig> config =
      ParseCheckpointConfig(*config_bytes);
  if (!config.ok()) return annotate(kConfigFileName, config.status());
  if (config->model != model) {
    return annotate(kConfigFileName,
                    absl::InvalidArgumentError(absl::StrCat(
                        "model = \"", config->model,
                        "\" lies in the folder of \"", model, "\"")));
  }

  const GeneratorPlan plan = PlanGenerator(config->model_config);
  absl::StatusOr<std::string> weights = ReadListedFile(
      *folder, kWeightsFileName, manifest->weights, MaxWeightsBytes(plan));
  if (!weights.ok()) return annotate(kWeightsFileName, weights.status());
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(*weights);
  if (!view.ok()) return annotate(kWeightsFileName, view.status());
  if (auto status = CheckWeights(*view, plan); !status.ok())
    return annotate(kWeightsFileName, status);

  Checkpoint checkpoint;
  checkpoint.identity = {
      .model = model, .version = version, .digest = Sha256Hex(*manifest_bytes)};
  checkpoint.config = *std::move(config);
  checkpoint.weights = *std::move(weights);
  return checkpoint;
}

}  // namespace ddgan
