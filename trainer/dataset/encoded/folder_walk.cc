#include "trainer/dataset/encoded/folder_walk.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using Reason = SetReport::Reason;

constexpr int kMaxDepth = 64;

bool IsForbidden(const std::error_code& error) {
  return error.value() == EACCES || error.value() == EPERM;
}

// Whether `path` is `folder` or lies below it; both are real paths.
bool IsWithin(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end())
             .first == folder.end();
}

class FolderWalk {
 public:
  FolderWalk(const fs::path& root, MemoryBudget* budget, SetReport* report)
      : root_(root), budget_(budget), report_(report) {}

  absl::StatusOr<FolderFiles> Run() {
    std::error_code error;
    real_root_ = fs::canonical(root_, error);
    if (error) return SystemError("", error);
    reach_ = real_root_;
    for (int i = 0; i < kLinkLevels; ++i) {
      const fs::path above = reach_.parent_path();
      if (above == above.root_path()) break;
      reach_ = above;
    }
    if (absl::Status s = Enter("", 0); !s.ok()) return s;
    // Links come after all folders that are reached without them, and in the
    // order of their names, so that on every machine the same ones are entered.
    while (!links_.empty()) {
      std::vector<Link> links = std::exchange(links_, {});
      std::sort(links.begin(), links.end());
      for (const Link& link : links) {
        if (absl::Status s = Enter(link.first, link.second); !s.ok()) return s;
      }
    }
    PassOverOthers();
    std::sort(files_.pictures.begin(), files_.pictures.end());
    std::sort(files_.archives.begin(), files_.archives.end());
    return std::move(files_);
  }

 private:
  // The path that ends in a slash, and the depth.
  using Link = std::pair<std::string, int>;

  absl::Status SystemError(const std::string& relative,
                           const std::error_code& error) const {
    return absl::ErrnoToStatus(
        error.value(),
        absl::StrCat((root_ / relative).string(), ": cannot read the folder"));
  }

  // Which file or folder a path leads to; nothing if it cannot be looked at.
  using Identity = std::pair<dev_t, ino_t>;
  static std::optional<Identity> Identify(const fs::path& path) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return std::nullopt;
    return Identity(info.st_dev, info.st_ino);
  }

  // Whether this folder was not entered before.
  bool IsNew(const fs::path& folder) {
    const std::optional<Identity> identity = Identify(folder);
    return !identity.has_value() ||  // Opening it says why.
           entered_.insert(*identity).second;
  }

  // A picture that is read by a link's name is not passed over.
  void PassOverOthers() {
    for (const std::string& path : others_) {
      if (!linked_.empty()) {
        const std::optional<Identity> identity = Identify(root_ / path);
        if (identity.has_value() && linked_.contains(*identity)) continue;
      }
      PassOverFile(path, report_);
    }
  }

  // `relative` ends in a slash or is empty.
  absl::Status Enter(const std::string& relative, int depth) {
    if (depth > kMaxDepth) {
      return absl::ResourceExhaustedError(
          absl::StrCat(root_.string(), "/", absl::Utf8SafeCEscape(relative),
                       ": deeper than ", kMaxDepth, " folders"));
    }
    if (!IsNew(root_ / relative)) {
      report_->PassOver(Reason::kLinkToKnown, relative);
      return absl::OkStatus();
    }
    std::error_code error;
    fs::directory_iterator entries(root_ / relative, error);
    std::vector<std::string> folders;
    for (; !error && entries != fs::directory_iterator();
         entries.increment(error)) {
      const std::string name = entries->path().filename().string();
      if (name.front() == '.') continue;
      if (absl::Status s = Sort(*entries, relative + name, depth, &folders);
          !s.ok()) {
        return s;
      }
    }
    if (IsForbidden(error) && depth > 0) {
      report_->PassOver(Reason::kUnreadableFolder, relative);
      return absl::OkStatus();
    }
    if (error) return SystemError(relative, error);
    std::sort(folders.begin(), folders.end());
    for (const std::string& folder : folders) {
      if (absl::Status s = Enter(folder, depth + 1); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  absl::Status Sort(const fs::directory_entry& entry, const std::string& path,
                    int depth, std::vector<std::string>* folders) {
    std::error_code error;
    const fs::file_type type = entry.symlink_status(error).type();
    if (error && IsForbidden(error)) {
      // Its folder may be listed, but nothing in it looked at.
      report_->PassOver(Reason::kUnreadableFolder, path);
      return absl::OkStatus();
    }
    switch (type) {
      case fs::file_type::directory:
        folders->push_back(path + "/");
        return absl::OkStatus();
      case fs::file_type::regular:
        return Add(path);
      case fs::file_type::symlink:
        return SortLink(entry.path(), path, depth);
      case fs::file_type::not_found:  // Gone since.
        return absl::OkStatus();
      default:
        if (IsImagePath(path) || IsArchivePath(path)) {
          report_->PassOver(Reason::kSpecialFile, path);
        }
        return absl::OkStatus();
    }
  }

  absl::Status SortLink(const fs::path& link, const std::string& path,
                        int depth) {
    std::error_code error;
    const fs::path target = fs::canonical(link, error);
    if (error) {  // Of whatever name: it may have led to a folder.
      report_->PassOver(Reason::kLinkBroken, path);
      return absl::OkStatus();
    }
    const fs::file_type type = fs::status(target, error).type();
    if (type == fs::file_type::directory) {
      if (IsWithin(real_root_, target)) {
        report_->PassOver(Reason::kLinkToKnown, path);
      } else if (!IsWithin(target, reach_)) {
        report_->PassOver(Reason::kLinkOutside, path);
      } else {
        links_.emplace_back(path + "/", depth + 1);
      }
      return absl::OkStatus();
    }
    if (!IsImagePath(path) && !IsArchivePath(path)) {
      PassOverFile(path, report_);
    } else if (!IsWithin(target, reach_)) {
      report_->PassOver(Reason::kLinkOutside, path);
    } else if (type != fs::file_type::regular) {
      report_->PassOver(Reason::kSpecialFile, path);
    } else {
      if (!IsImagePath(target.string())) {
        if (const auto identity = Identify(target)) linked_.insert(*identity);
      }
      return Add(path);
    }
    return absl::OkStatus();
  }

  absl::Status Add(const std::string& path) {
    const bool is_picture = IsImagePath(path);
    std::vector<std::string>& others =
        IsArchivePath(path) ? files_.archives : others_;
    (is_picture ? files_.pictures : others).push_back(path);
    return budget_->Take(sizeof(std::string) + path.size(), root_);
  }

  const fs::path& root_;
  MemoryBudget* const budget_;
  SetReport* const report_;
  fs::path real_root_;
  fs::path reach_;  // Links lead to it or below.
  std::vector<Link> links_;
  std::set<Identity> entered_;
  std::vector<std::string> others_;  // Files that are no pictures by name.
  std::set<Identity> linked_;  // Of them, those that pictures' links lead to.
  FolderFiles files_;
};

}  // namespace

absl::Status MemoryBudget::Take(uint64_t bytes,
                                const std::filesystem::path& what) {
  if (bytes > allowed_ - taken_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        what.string(), ": its images need more than the ", allowed_,
        " bytes of memory that are allowed; a folder, a .zip or a .tar that is "
        "not compressed stays on disk"));
  }
  taken_ += bytes;
  return absl::OkStatus();
}

absl::StatusOr<FolderFiles> WalkFolder(const std::filesystem::path& root,
                                       MemoryBudget* budget,
                                       SetReport* report) {
  return FolderWalk(root, budget, report).Run();
}

}  // namespace ddgan
