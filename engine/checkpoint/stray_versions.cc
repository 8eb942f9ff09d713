#include "engine/checkpoint/stray_versions.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

bool HasManifest(const fs::path& folder) {
  std::error_code ignored;  // What cannot be looked at is not there.
  return fs::exists(folder / kManifestFileName, ignored);
}

// Folders and links to folders, but hidden ones.
std::vector<fs::path> FoldersIn(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().filename().string().front() != '.' &&
        entry->is_directory(ignored)) {
      folders.push_back(entry->path());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::string NameOf(const fs::path& path) { return path.filename().string(); }

// For a message, whatever somebody called it.
std::string Shown(const std::string& name) { return Abbreviated(name); }

// The number that `name` may have been meant for; empty if there is none.
std::string NumberIn(const std::string& name) {
  const auto is_digit = [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  };
  const auto first = std::find_if(name.begin(), name.end(), is_digit);
  const auto last = std::find_if_not(first, name.end(), is_digit);
  std::string number(std::find_if(first, last, [](char c) { return c != '0'; }),
                     last);
  return ParseVersionName(number).has_value() ? number : "";
}

std::string DescribeVersionName(const fs::path& model, const fs::path& folder) {
  const std::string number = NumberIn(NameOf(folder));
  return absl::StrCat(
      Shown(NameOf(folder)), " in ", Shown(NameOf(model)),
      " is not taken for a version, since a version's name is its number, "
      "without zeros before it",
      number.empty() ? "" : absl::StrCat("; was ", number, " meant?"));
}

class Strays {
 public:
  void Add(std::string sentence) {
    if (sentences_.size() < kMaxStrays) {
      sentences_.push_back(std::move(sentence));
    } else {
      more_ = true;
    }
  }

  std::vector<std::string> Take() {
    std::sort(sentences_.begin(), sentences_.end());
    if (more_) sentences_.push_back("and there are more such folders");
    return std::move(sentences_);
  }

 private:
  std::vector<std::string> sentences_;
  bool more_ = false;
};

// Whether a folder in the model root is a version, as in a model's folder.
bool IsVersionOfRoot(const fs::path& folder) {
  return ParseVersionName(NameOf(folder)).has_value() && HasManifest(folder);
}

// Of another folder in the model root.
void LookAtModel(const fs::path& folder, Strays* strays) {
  const std::string name = NameOf(folder);
  if (HasManifest(folder)) {
    strays->Add(absl::StrCat(
        Shown(name),
        " holds the files of a version, which belong into <model>/<version>/"));
    return;
  }
  std::vector<fs::path> versions = FoldersIn(folder);
  versions.erase(
      std::remove_if(versions.begin(), versions.end(),
                     [](const fs::path& path) { return !HasManifest(path); }),
      versions.end());
  if (versions.empty()) return;
  std::error_code ignored;
  if (!IsModelName(name)) {
    strays->Add(absl::StrCat(
        Shown(name),
        " is not taken for a model: a model's name is one of [a-z0-9], then "
        "of [a-z0-9._-], at most 64 bytes"));
    return;
  }
  if (fs::is_symlink(folder, ignored)) {
    strays->Add(absl::StrCat(
        Shown(name), " is not taken for a model, since it is a symbolic link"));
    return;
  }
  for (const fs::path& version : versions) {
    if (!ParseVersionName(NameOf(version)).has_value()) {
      strays->Add(DescribeVersionName(folder, version));
    }
  }
}

}  // namespace

std::vector<std::string> DescribeStrayVersions(
    const std::filesystem::path& model_root) {
  Strays strays;
  if (HasManifest(model_root)) {
    strays.Add(
        "the model root is itself a version's folder; the root is the folder "
        "of models, two above it");
  }
  bool is_model = false;
  for (const fs::path& folder : FoldersIn(model_root)) {
    if (!IsVersionOfRoot(folder)) {
      LookAtModel(folder, &strays);
      continue;
    }
    if (is_model) continue;  // Of many versions, one tells it.
    is_model = true;
    strays.Add(absl::StrCat(
        "the model root has version ", NameOf(folder),
        " in it, as a model's folder has; the root is the folder above, ",
        Shown(fs::absolute(model_root)
                  .lexically_normal()
                  .parent_path()
                  .string())));
  }
  return strays.Take();
}

}  // namespace ddgan
