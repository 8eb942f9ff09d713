#include "engine/checkpoint/model_directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

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
                                           uint64_t max_bytes,
                                           StopCheck stopped) {
  absl::StatusOr<uint64_t> size = folder.FileSize(name);
  if (!size.ok()) return size.status();
  if (*size != entry.size) {
    return absl::DataLossError(
        absl::StrCat("has ", *size, " bytes, the manifest says ", entry.size));
  }
  absl::StatusOr<std::string> bytes = folder.ReadFile(name, max_bytes, stopped);
  if (!bytes.ok()) return bytes.status();
  const absl::StatusOr<std::string> digest = Sha256Hex(*bytes, stopped);
  if (!digest.ok()) return digest.status();
  if (*digest != entry.sha256) {
    return absl::DataLossError(absl::StrCat(
        "has sha256 ", *digest, ", the manifest says ", entry.sha256));
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

bool IsFolder(const std::filesystem::file_status& status) {
  return std::filesystem::is_directory(status);
}

bool IsFolderOrLink(const std::filesystem::file_status& status) {
  return IsFolder(status) || std::filesystem::is_symlink(status);
}

// Names in `folder` for which `wanted` is true, of entries for whose status
// (links not followed) `is_kind` is. NotFound if `folder` is none.
absl::StatusOr<std::vector<std::string>> ListEntries(
    const std::filesystem::path& folder,
    const std::function<bool(const std::string&)>& wanted,
    bool (*is_kind)(const std::filesystem::file_status&)) {
  std::error_code error;
  const std::filesystem::file_status status =
      std::filesystem::status(folder, error);
  if (status.type() == std::filesystem::file_type::none) {
    return absl::ErrnoToStatus(
        error.value(), absl::StrCat("cannot look at ", folder.string()));
  }
  if (!IsFolder(status)) {
    return absl::NotFoundError(
        absl::StrCat(folder.string(), " is not a folder"));
  }
  std::filesystem::directory_iterator entry(folder, error);
  std::vector<std::string> names;
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    std::error_code ignored;  // It may be gone by now: then it is no folder.
    const std::string name = entry->path().filename().string();
    if (wanted(name) && is_kind(entry->symlink_status(ignored)))
      names.push_back(name);
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot list ", folder.string()));
  }
  return names;
}

bool IsVersionName(const std::string& name) {
  return ParseVersionName(name).has_value();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ListModelNames(
    const std::filesystem::path& model_root) {
  absl::StatusOr<std::vector<std::string>> candidates =
      ListEntries(model_root, IsModelName, IsFolder);
  if (!candidates.ok()) return candidates.status();
  std::vector<std::string> names;
  for (const std::string& name : *candidates) {
    const auto versions =
        ListEntries(model_root / name, IsVersionName, IsFolderOrLink);
    // A model that cannot be listed must not hide the others.
    if (versions.ok() && !versions->empty()) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<int64_t>> ListVersions(
    const std::filesystem::path& model_root, const std::string& model) {
  if (!IsModelName(model)) {
    return absl::NotFoundError(absl::StrCat("no model of the name ",
                                            Abbreviated(model), " can exist"));
  }
  const std::filesystem::path folder = model_root / model;
  absl::StatusOr<std::vector<std::string>> names =
      ListEntries(folder, IsVersionName, IsFolderOrLink);
  if (!names.ok()) return names.status();
  std::vector<int64_t> versions;
  for (const std::string& name : *names) {
    std::error_code ignored;
    const std::filesystem::file_status manifest =
        std::filesystem::symlink_status(folder / name / kManifestFileName,
                                        ignored);
    if (std::filesystem::is_regular_file(manifest) ||
        std::filesystem::is_symlink(manifest)) {
      versions.push_back(*ParseVersionName(name));
    }
  }
  std::sort(versions.begin(), versions.end(), std::greater<>());
  return versions;
}

VersionFiles ExamineVersion(const std::filesystem::path& model_root,
                            const std::string& model, int64_t version) {
  const std::filesystem::path folder =
      model_root / model / absl::StrCat(version);
  VersionFiles files;
  struct stat info;
  // The folder may be a link, which is another thing than what it leads to.
  if (lstat(folder.c_str(), &info) == 0) {
    files.fingerprint =
        absl::StrCat(info.st_dev, ":", info.st_ino, ":", info.st_mode, ";");
  }
  for (const std::string_view name :
       {kConfigFileName, kWeightsFileName, kManifestFileName}) {
    if (lstat((folder / name).c_str(), &info) != 0) {
      absl::StrAppend(&files.fingerprint, "absent;");
      continue;
    }
    absl::StrAppend(&files.fingerprint, info.st_dev, ":", info.st_ino, ":",
                    info.st_mode, ":", info.st_size, ":", info.st_mtim.tv_sec,
                    ".", info.st_mtim.tv_nsec, ":", info.st_ctim.tv_sec, ".",
                    info.st_ctim.tv_nsec, ";");
    if (name == kWeightsFileName && S_ISREG(info.st_mode)) {
      files.weights_bytes = static_cast<uint64_t>(info.st_size);
    }
  }
  return files;
}

absl::StatusOr<Checkpoint> ReadCheckpoint(
    const std::filesystem::path& model_root, const std::string& model,
    int64_t version, StopCheck stopped, const CheckpointNetworks& networks) {
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

  const absl::StatusOr<std::string> config_bytes = ReadListedFile(
      *folder, kConfigFileName, manifest->config, kMaxJsonBytes, stopped);
  if (!config_bytes.ok())
    return annotate(kConfigFileName, config_bytes.status());
  absl::StatusOr<CheckpointConfig> config =
      ParseCheckpointConfig(*config_bytes, networks.validate);
  if (!config.ok()) return annotate(kConfigFileName, config.status());
  if (config->model != model) {
    return annotate(kConfigFileName,
                    absl::InvalidArgumentError(absl::StrCat(
                        "model = \"", config->model,
                        "\" lies in the folder of \"", model, "\"")));
  }

  const GeneratorPlan plan = networks.plan(config->model_config);
  absl::StatusOr<std::string> weights =
      ReadListedFile(*folder, kWeightsFileName, manifest->weights,
                     MaxWeightsBytes(plan), stopped);
  if (!weights.ok()) return annotate(kWeightsFileName, weights.status());
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(*weights);
  if (!view.ok()) return annotate(kWeightsFileName, view.status());
  if (auto status = CheckWeights(*view, plan, stopped); !status.ok())
    return annotate(kWeightsFileName, status);

  Checkpoint checkpoint;
  checkpoint.identity = {
      .model = model, .version = version, .digest = Sha256Hex(*manifest_bytes)};
  checkpoint.config = *std::move(config);
  checkpoint.weights = *std::move(weights);
  return checkpoint;
}

}  // namespace ddgan
