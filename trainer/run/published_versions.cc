#include "trainer/run/published_versions.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "engine/base/folder.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/checkpoint_format.h"
#include "nlohmann/json.hpp"

namespace ddgan {
namespace {

// Of some hundred thousand versions.
constexpr uint64_t kMaxListBytes = uint64_t{16} << 20;

// {"1000": "<digest>", ...}
std::optional<std::map<int64_t, std::string>> Parse(const std::string& text) {
  const absl::StatusOr<nlohmann::json> json = ParseStrictJson(text);
  if (!json.ok() || !json->is_object()) return std::nullopt;
  std::map<int64_t, std::string> digests;
  for (const auto& [name, digest] : json->items()) {
    const std::optional<int64_t> version = ParseVersionName(name);
    if (!version || !digest.is_string()) return std::nullopt;
    digests[*version] = digest.get<std::string>();
  }
  return digests;
}

}  // namespace

absl::StatusOr<PublishedVersions> PublishedVersions::Load(
    const std::filesystem::path& path) {
  PublishedVersions published(path);
  const absl::StatusOr<Folder> folder =
      Folder::Open(std::filesystem::path(".") / path.parent_path());
  if (absl::IsNotFound(folder.status())) return published;
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<std::string> text =
      folder->ReadFile(path.filename().string(), kMaxListBytes);
  if (absl::IsNotFound(text.status())) return published;
  if (!text.ok()) {
    return absl::Status(
        text.status().code(),
        absl::StrCat(path.string(), " ", text.status().message()));
  }
  std::optional<std::map<int64_t, std::string>> digests = Parse(*text);
  if (!digests) {
    return absl::DataLossError(absl::StrCat(
        path.string(),
        " is not a list of published versions: move it away, and the versions "
        "that it named stay"));
  }
  published.digests_ = *std::move(digests);
  return published;
}

absl::Status PublishedVersions::Add(int64_t version,
                                    const std::string& digest) {
  digests_[version] = digest;
  return Write();
}

absl::Status PublishedVersions::Remove(int64_t version) {
  digests_.erase(version);
  return Write();
}

std::vector<int64_t> PublishedVersions::versions() const {
  std::vector<int64_t> versions;
  for (const auto& [version, digest] : digests_) versions.push_back(version);
  return versions;
}

absl::Status PublishedVersions::Write() const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [version, digest] : digests_)
    json[absl::StrCat(version)] = digest;
  return WriteFileDurably(path_, json.dump(2) + "\n");
}

}  // namespace ddgan
