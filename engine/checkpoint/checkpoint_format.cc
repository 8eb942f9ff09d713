#include "engine/checkpoint/checkpoint_format.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "engine/base/strict_json.h"
#include "nlohmann/json.hpp"

namespace ddgan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kFormatVersionKey[] = "format_version";
constexpr size_t kMaxModelNameBytes = 64;
constexpr size_t kMaxTextBytes = 256;
constexpr size_t kSha256HexDigits = 64;

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

// Keys that are left out where they have the value of a ModelConfig that nobody
// changed.
template <typename Config, typename Visit>
void VisitOptionalFields(Config& config, const Visit& visit) {
  visit("objective", config.objective);
  visit("sampler", config.sampler);
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
    Take(key, found, field);
  }

  template <typename T>
  void ReadIfThere(const char* key, T* field) {
    const auto found = object_->find(key);
    if (found != object_->end()) Take(key, found, field);
  }

  // Of the keys read so far and those left over.
  absl::Status Finish() const {
    if (!object_->empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown key ", Abbreviated(object_->begin().key())));
    }
    if (!missing_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("missing: ", absl::StrJoin(missing_, ", ")));
    }
    return status_;
  }

 private:
  template <typename T>
  void Take(const char* key, json::iterator found, T* field) {
    if (auto wanted = ReadJson(*found, field); wanted.has_value()) {
      if (status_.ok()) {
        status_ = absl::InvalidArgumentError(absl::StrCat(
            key, " = ", Abbreviated(*found), " must be ", *wanted));
      }
    }
    object_->erase(found);
  }

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
  if (auto status = reader.Finish(); !status.ok())
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

}  // namespace

absl::StatusOr<CheckpointConfig> ParseCheckpointConfig(
    std::string_view text,
    absl::FunctionRef<absl::Status(const ModelConfig&)> validate) {
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
  VisitOptionalFields(config.model_config, [&](const char* key, auto& field) {
    reader.ReadIfThere(key, &field);
  });
  if (auto status = reader.Finish(); !status.ok()) return status;
  if (auto status = CheckProvenance(config); !status.ok()) return status;
  if (auto status = validate(config.model_config); !status.ok()) return status;
  return config;
}

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view text,
                                             const ModelConfig& defaults) {
  absl::StatusOr<json> object = ParseObject(text);
  if (!object.ok()) return object.status();
  ModelConfig config = defaults;
  FieldReader reader(&*object);
  const auto read = [&](const char* key, auto& field) {
    reader.ReadIfThere(key, &field);
  };
  VisitModelFields(config, read);
  VisitOptionalFields(config, read);
  if (auto status = reader.Finish(); !status.ok()) return status;
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
  const ModelConfig unchanged;
  if (config.model_config.objective != unchanged.objective)
    write("objective", config.model_config.objective);
  if (config.model_config.sampler != unchanged.sampler)
    write("sampler", config.model_config.sampler);
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

}  // namespace ddgan
