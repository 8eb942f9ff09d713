#include "trainer/run/checkpoint_publisher.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "engine/base/folder.h"
#include "engine/base/sha256.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights_check.h"
#include "engine/model/generator_plan.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

// Of folders with a version on its way in or out.
constexpr char kStagingPrefix[] = ".publishing-";

// What a server will do with these bytes, before it has to.
absl::Status CheckPublishable(int64_t version, const CheckpointConfig& config,
                              const std::string& config_json,
                              std::string_view weights, Readers readers) {
  if (version < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("version = ", version, " is not allowed: must be >= 1"));
  }
  if (readers == Readers::kNoServer) {
    if (IsModelName(config.model)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("model = '", config.model, "' is no model name"));
  }
  const absl::StatusOr<CheckpointConfig> parsed =
      ParseCheckpointConfig(config_json);
  if (!parsed.ok()) return parsed.status();
  if (*parsed != config) {
    return absl::InvalidArgumentError(
        "the config does not survive being written: text that is not UTF-8");
  }
  if (weights.size() > kMaxWeightsBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("weights of ", weights.size(), " bytes; at most ",
                     kMaxWeightsBytes, " are allowed"));
  }
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(weights);
  if (!view.ok()) return view.status();
  return CheckWeights(*view, PlanGenerator(config.model_config));
}

// Creates `path` and its missing parents, each made durable in its own parent.
absl::Status CreateFolders(const fs::path& path) {
  const auto make = [&path] {
    return mkdir(path.c_str(), 0755) == 0 ? 0 : errno;
  };
  int error = make();
  if (error == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    if (auto status = CreateFolders(path.parent_path()); !status.ok())
      return status;
    error = make();  // Again ENOENT if the parent is a link to nothing.
  }
  if (error == EEXIST) return absl::OkStatus();
  if (error != 0) return PathError(error, "create", path);
  return SyncFolder(path.has_parent_path() ? path.parent_path()
                                           : fs::path("."));
}

// Best effort: what cannot be removed is hidden from readers anyhow.
void RemoveLeftOvers(const fs::path& model_folder) {
  std::error_code error;
  std::vector<fs::path> left_overs;
  fs::directory_iterator entry(model_folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (absl::StartsWith(entry->path().filename().string(), kStagingPrefix))
      left_overs.push_back(entry->path());
  }
  for (const fs::path& path : left_overs) fs::remove_all(path, error);
}

// A folder that no reader looks into; removed unless it was renamed away.
class StagingFolder {
 public:
  static absl::StatusOr<StagingFolder> Create(const fs::path& model_folder) {
    std::string path =
        (model_folder / absl::StrCat(kStagingPrefix, "XXXXXX")).string();
    if (mkdtemp(path.data()) == nullptr)
      return PathError(errno, "create a folder in", model_folder);
    StagingFolder folder{fs::path(path)};
    // mkdtemp lets only the owner in; the server may run as another user.
    if (chmod(path.c_str(), 0755) != 0)
      return PathError(errno, "open to readers", path);
    return folder;
  }

  StagingFolder(StagingFolder&& other) noexcept
      : path_(std::exchange(other.path_, fs::path())) {}
  StagingFolder& operator=(StagingFolder&&) = delete;
  ~StagingFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }

  // AlreadyExists if `target` is a folder with anything in it.
  absl::Status RenameTo(const fs::path& target) {
    if (rename(path_.c_str(), target.c_str()) != 0) {
      if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) {
        return absl::AlreadyExistsError(
            absl::StrCat(target.string(), " already exists"));
      }
      return PathError(errno, "publish as", target);
    }
    path_.clear();
    return absl::OkStatus();
  }

  // The other way round: `source` becomes this folder, which must be empty.
  absl::Status TakeFrom(const fs::path& source) {
    if (rename(source.c_str(), path_.c_str()) != 0)
      return PathError(errno, "hide", source);
    return absl::OkStatus();
  }

 private:
  explicit StagingFolder(fs::path path) : path_(std::move(path)) {}

  fs::path path_;
};

absl::Status WriteVersion(const fs::path& folder,
                          const std::string& config_json,
                          std::string_view weights,
                          const std::string& manifest_json) {
  const std::pair<const char*, std::string_view> files[] = {
      {kConfigFileName, config_json},
      {kWeightsFileName, weights},
      {kManifestFileName, manifest_json},
  };
  for (const auto& [name, bytes] : files) {
    if (auto status = WriteNewFile(folder / name, bytes); !status.ok())
      return status;
  }
  return SyncFolder(folder);
}

// Held by whoever changes the model's folder, until it is destroyed.
absl::StatusOr<Folder> TakeTurn(const fs::path& model_folder) {
  absl::StatusOr<Folder> lock = Folder::Open(model_folder);
  if (lock.ok() && lock->Lock().ok()) RemoveLeftOvers(model_folder);
  return lock;
}

// Nothing links, nothing extra, and the manifest that `identity` names.
absl::Status CheckIsVersion(const Folder& model_folder, const fs::path& path,
                            const ModelIdentity& identity) {
  const auto refused = [&](absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat(path.string(), " is left as it is: ", why));
  };
  const absl::StatusOr<Folder> folder =
      model_folder.OpenFolder(absl::StrCat(identity.version));
  if (absl::IsInvalidArgument(folder.status()))
    return refused(folder.status().message());
  if (!folder.ok()) return folder.status();
  std::error_code error;
  fs::directory_iterator entry(path, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name != kConfigFileName && name != kWeightsFileName &&
        name != kManifestFileName)
      return refused(absl::StrCat("it also holds ", name));
  }
  if (error) return PathError(error.value(), "list", path);
  const absl::StatusOr<std::string> manifest =
      folder->ReadFile(kManifestFileName, kMaxJsonBytes);
  if (!manifest.ok()) {
    return refused(
        absl::StrCat(kManifestFileName, ": ", manifest.status().message()));
  }
  if (Sha256Hex(*manifest) != identity.digest)
    return refused("its manifest is not the one that was published");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelIdentity> PublishCheckpoint(const fs::path& model_root,
                                                int64_t version,
                                                const CheckpointConfig& config,
                                                std::string_view weights,
                                                Readers readers) {
  const std::string config_json = CheckpointConfigToJson(config);
  if (auto status =
          CheckPublishable(version, config, config_json, weights, readers);
      !status.ok())
    return status;
  const std::string manifest_json =
      ManifestToJson({.config = {Sha256Hex(config_json), config_json.size()},
                      .weights = {Sha256Hex(weights), weights.size()}});

  const fs::path model_folder = model_root / config.model;
  if (auto status = CreateFolders(model_folder); !status.ok()) return status;
  const absl::StatusOr<Folder> turn = TakeTurn(model_folder);
  if (!turn.ok()) return turn.status();

  // The rename would notice too, but only after everything was written.
  const fs::path target = model_folder / absl::StrCat(version);
  struct stat info;
  if (lstat((target / kManifestFileName).c_str(), &info) == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat(target.string(), " already exists"));
  }
  absl::StatusOr<StagingFolder> staging = StagingFolder::Create(model_folder);
  if (!staging.ok()) return staging.status();
  if (auto status =
          WriteVersion(staging->path(), config_json, weights, manifest_json);
      !status.ok())
    return status;
  if (auto status = staging->RenameTo(target); !status.ok()) return status;
  if (auto status = SyncFolder(model_folder); !status.ok()) return status;
  return ModelIdentity{.model = config.model,
                       .version = version,
                       .digest = Sha256Hex(manifest_json)};
}

absl::Status RemoveCheckpoint(const fs::path& model_root,
                              const ModelIdentity& identity) {
  const fs::path model_folder = model_root / identity.model;
  const absl::StatusOr<Folder> turn = TakeTurn(model_folder);
  if (!turn.ok()) return turn.status();
  const fs::path target = model_folder / absl::StrCat(identity.version);
  if (auto status = CheckIsVersion(*turn, target, identity); !status.ok())
    return status;
  absl::StatusOr<StagingFolder> staging = StagingFolder::Create(model_folder);
  if (!staging.ok()) return staging.status();
  if (auto status = staging->TakeFrom(target); !status.ok()) return status;
  // Before the first file goes: after a power cut, too, all of it is there or
  // none.
  return SyncFolder(model_folder);
}

}  // namespace ddgan
