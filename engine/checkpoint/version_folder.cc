#include "engine/checkpoint/version_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/base/strict_json.h"

namespace ddgan {
namespace {

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

}  // namespace ddgan
