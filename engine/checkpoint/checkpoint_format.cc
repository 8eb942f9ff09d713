#include "engine/checkpoint/checkpoint_format.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "engine/base/folder.h"
#include "engine/base/sha256.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights_check.h"
#include "engine/model/generator_plan.h"
#include "nlohmann/json.hpp"

namespace ddgan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kFormatVersionKey[] = "format_version";
constexpr size_t kMaxModelNameBytes = 64;
constexpr size_t kMaxTextBytes = 256;
constexpr size_t kSha256HexDigits = 64;
// The header of a weights file is names, shapes and offsets.
constexpr uint64_t kMaxWeightsHeaderBytes = uint64_t{1} << 24;

// Every key of config.json, once, for reading and for writing. Config is const
// or not; `visit` gets a key and the field.
template <typename Config, typename Visit>
void VisitModelFields(Config& config, const Visit& visit) {
  visit("image_size", config.image_size);
  visit("num_channels", config.num_channels);
  visit("num_channels_dae", config.num_channels_dae);
  visit("ch_mult", config.ch_mult);
  visit("num_res_blocks", config.num_res_blocks);
  visit("attn_resolutions", config.attn_resolutions);
  visit("resblock_type", config.resblock_type);
  visit("progressive", config.progressive);
  visit("progressive_input", config.progressive_input);
  visit("progressive_combine", config.progressive_combine);
  visit("embedding_type", config.embedding_type);
  visit("fourier_scale", config.fourier_scale);
  visit("fir", config.fir);
  visit("fir_kernel", config.fir_kernel);
  visit("skip_rescale", config.skip_rescale);
  visit("resamp_with_conv", config.resamp_with_conv);
  visit("conditional", config.conditional);
  visit("centered", config.centered);
  visit("not_use_tanh", config.not_use_tanh);
  visit("dropout", config.dropout);
  visit("nz", config.nz);
  visit("z_emb_dim", config.z_emb_dim);
  visit("n_mlp", config.n_mlp);
  visit("num_timesteps", config.num_timesteps);
  visit("beta_min", config.beta_min);
  visit("beta_max", config.beta_max);
  visit("use_geometric", config.use_geometric);
}

template <typename Config, typename Visit>
void VisitProvenanceFields(Config& config, const Visit& visit) {
  visit("model", config.model);
  visit("training_step", config.training_step);
  visit("dataset", config.dataset);
  visit("created", config.created);
  visit("trainer_version", config.trainer_version);
}

absl::Status Annotate(const std::string& where, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(where, ": ", status.message()));
}

// Takes known keys out of an object, and remembers what went wrong first.
class FieldReader {
 public:
  explicit FieldReader(json* object) : object_(object) {}

  template <typename T>
  void Read(const char* key, T* field) {
    const auto found = object_->find(key);
    if (found == object_->end()) {
      missing_.push_back(key);
      return;
    }
    if (auto wanted = ReadJson(*found, field); wanted.has_value()) {
      if (status_.ok()) {
        status_ = absl::InvalidArgumentError(absl::StrCat(
            key, " = ", Abbreviated(*found), " must be ", *wanted));
      }
    }
    object_->erase(found);
  }

  // Of the keys read so far and those left over.
  absl::Status Finish(bool allow_missing) const {
    if (!object_->empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown key ", Abbreviated(object_->begin().key())));
    }
    if (!missing_.empty() && !allow_missing) {
      return absl::InvalidArgumentError(
          absl::StrCat("missing: ", absl::StrJoin(missing_, ", ")));
    }
    return status_;
  }

 private:
  json* object_;
  std::vector<std::string> missing_;
  absl::Status status_;
};

absl::StatusOr<json> ParseObject(std::string_view text) {
  absl::StatusOr<json> object = ParseStrictJson(text);
  if (!object.ok()) return object.status();
  if (!object->is_object())
    return absl::InvalidArgumentError("is not a JSON object");
  return object;
}

absl::Status TakeFormatVersion(json* object) {
  const auto found = object->find(kFormatVersionKey);
  if (found == object->end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("missing: ", kFormatVersionKey));
  }
  int version = 0;
  if (ReadJson(*found, &version).has_value() ||
      version != kCheckpointFormatVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat(kFormatVersionKey, " = ", Abbreviated(*found),
                     "; this build reads ", kCheckpointFormatVersion));
  }
  object->erase(found);
  return absl::OkStatus();
}

bool IsRfc3339Utc(const std::string& text) {
  // The library's parser also takes spaces and other offsets.
  const auto is_digit_or = [](char c, char wanted) {
    return wanted == '0' ? absl::ascii_isdigit(static_cast<unsigned char>(c))
                         : c == wanted;
  };
  constexpr char kShape[] = "0000-00-00T00:00:00";
  constexpr size_t kShapeBytes = sizeof(kShape) - 1;
  if (text.size() <= kShapeBytes || text.size() > 40 || text.back() != 'Z' ||
      !std::equal(kShape, kShape + kShapeBytes, text.begin(),
                  [&](char wanted, char c) { return is_digit_or(c, wanted); }))
    return false;
  absl::Time time;
  return absl::ParseTime(absl::RFC3339_full, text, &time, nullptr);
}

absl::Status CheckText(const char* key, const std::string& text) {
  const bool has_control = std::any_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
  if (text.size() <= kMaxTextBytes && !has_control) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key, " must have at most ", kMaxTextBytes,
                   " bytes and no control characters"));
}

absl::Status CheckProvenance(const CheckpointConfig& config) {
  if (!IsModelName(config.model)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model = ", Abbreviated(config.model),
        " is not allowed: must match [a-z0-9][a-z0-9._-]* and have at most ",
        kMaxModelNameBytes, " bytes"));
  }
  if (config.training_step < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("training_step = ", config.training_step,
                     " is not allowed: must not be negative"));
  }
  if (!IsRfc3339Utc(config.created)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "created = ", Abbreviated(config.created),
        " is not allowed: must be RFC 3339 in UTC, as 2026-11-24T04:00:00Z"));
  }
  if (auto status = CheckText("dataset", config.dataset); !status.ok())
    return status;
  return CheckText("trainer_version", config.trainer_version);
}

absl::StatusOr<ManifestEntry> ParseManifestEntry(const char* name,
                                                 json* files) {
  const auto found = files->find(name);
  if (found == files->end())
    return absl::InvalidArgumentError(absl::StrCat("files: missing: ", name));
  json object = std::move(*found);
  files->erase(found);
  if (!object.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("files: ", name, " is not a JSON object"));
  }
  ManifestEntry entry;
  int64_t size = 0;
  FieldReader reader(&object);
  reader.Read("sha256", &entry.sha256);
  reader.Read("size", &size);
  if (auto status = reader.Finish(/*allow_missing=*/false); !status.ok())
    return Annotate(absl::StrCat("files: ", name), status);
  const bool is_digest =
      entry.sha256.size() == kSha256HexDigits &&
      entry.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_digest) {
    return absl::InvalidArgumentError(
        absl::StrCat("files: ", name, ": sha256 = ", Abbreviated(entry.sha256),
                     " must be ", kSha256HexDigits, " lower-case hex digits"));
  }
  if (size < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "files: ", name, ": size = ", size, " must not be negative"));
  }
  entry.size = static_cast<uint64_t>(size);
  return entry;
}

ordered_json EntryToJson(const ManifestEntry& entry) {
  ordered_json object;
  object["sha256"] = entry.sha256;
  object["size"] = entry.size;
  return object;
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
  if (!std::filesystem::is_directory(folder, error)) {
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

absl::StatusOr<CheckpointConfig> ParseCheckpointConfig(std::string_view text) {
  absl::StatusOr<json> object = ParseObject(text);
  if (!object.ok()) return object.status();
  if (auto status = TakeFormatVersion(&*object); !status.ok()) return status;
  CheckpointConfig config;
  FieldReader reader(&*object);
  const auto read = [&](const char* key, auto& field) {
    reader.Read(key, &field);
  };
  VisitProvenanceFields(config, read);
  VisitModelFields(config.model_config, read);
  if (auto status = reader.Finish(/*allow_missing=*/false); !status.ok())
    return status;
  if (auto status = CheckProvenance(config); !status.ok()) return status;
  if (auto status = ValidateModelConfig(config.model_config); !status.ok())
    return status;
  return config;
}

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view text,
                                             const ModelConfig& defaults) {
  absl::StatusOr<json> object = ParseObject(text);
  if (!object.ok()) return object.status();
  ModelConfig config = defaults;
  FieldReader reader(&*object);
  VisitModelFields(
      config, [&](const char* key, auto& field) { reader.Read(key, &field); });
  if (auto status = reader.Finish(/*allow_missing=*/true); !status.ok())
    return status;
  if (auto status = ValidateModelConfig(config); !status.ok()) return status;
  return config;
}

std::string CheckpointConfigToJson(const CheckpointConfig& config) {
  ordered_json object;
  object[kFormatVersionKey] = kCheckpointFormatVersion;
  const auto write = [&](const char* key, const auto& field) {
    object[key] = field;
  };
  VisitProvenanceFields(config, write);
  VisitModelFields(config.model_config, write);
  // Text that is no UTF-8 is replaced, which reading it back shows.
  return object.dump(2, ' ', /*ensure_ascii=*/false,
                     ordered_json::error_handler_t::replace) +
         "\n";
}

absl::StatusOr<Manifest> ParseManifest(std::string_view text) {
  absl::StatusOr<json> object = ParseObject(text);
  if (!object.ok()) return object.status();
  if (auto status = TakeFormatVersion(&*object); !status.ok()) return status;
  const auto found = object->find("files");
  if (found == object->end())
    return absl::InvalidArgumentError("missing: files");
  json files = std::move(*found);
  object->erase(found);
  if (!files.is_object())
    return absl::InvalidArgumentError("files is not a JSON object");

  auto config = ParseManifestEntry(kConfigFileName, &files);
  if (!config.ok()) return config.status();
  auto weights = ParseManifestEntry(kWeightsFileName, &files);
  if (!weights.ok()) return weights.status();
  for (const json& left_over : {*object, files}) {
    if (!left_over.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown key ", Abbreviated(left_over.begin().key())));
    }
  }
  return Manifest{.config = *config, .weights = *weights};
}

std::string ManifestToJson(const Manifest& manifest) {
  ordered_json object;
  object[kFormatVersionKey] = kCheckpointFormatVersion;
  object["files"][kConfigFileName] = EntryToJson(manifest.config);
  object["files"][kWeightsFileName] = EntryToJson(manifest.weights);
  return object.dump(2) + "\n";
}

bool IsModelName(std::string_view name) {
  const auto is_plain = [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c));
  };
  return !name.empty() && name.size() <= kMaxModelNameBytes &&
         is_plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_plain(c) || c == '.' || c == '_' || c == '-';
         });
}

std::optional<int64_t> ParseVersionName(std::string_view name) {
  // from_chars would take a sign and leading zeros.
  if (name.empty() || name.front() < '1' || name.front() > '9')
    return std::nullopt;
  int64_t version = 0;
  const auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), version);
  if (error != std::errc() || end != name.data() + name.size())
    return std::nullopt;
  return version;
}

absl::StatusOr<std::vector<std::string>> ListModelNames(
    const std::filesystem::path& model_root) {
  absl::StatusOr<std::vector<std::string>> candidates =
      ListEntries(model_root, IsModelName, IsFolder);
  if (!candidates.ok()) return candidates.status();
  std::vector<std::string> names;
  for (const std::string& name : *candidates) {
    const auto versions =
        ListEntries(model_root / name, IsVersionName, IsFolder);
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
