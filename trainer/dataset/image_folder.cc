#include "trainer/dataset/image_folder.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "trainer/dataset/file_bytes.h"
#include "trainer/dataset/image_decoder.h"
#include "trainer/dataset/tar_reader.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 64;
constexpr int64_t kImagesPerReport = 10'000;

absl::Status TooLarge(uint64_t size) {
  return absl::DataLossError(
      absl::StrCat(size, " bytes, allowed are at most ", kMaxEncodedBytes));
}

absl::Status SystemError(const fs::path& path, const std::error_code& error) {
  return absl::ErrnoToStatus(
      error.value(), absl::StrCat(path.string(), ": cannot read the folder"));
}

absl::Status OverMemory(const fs::path& path, uint64_t allowed) {
  return absl::ResourceExhaustedError(
      absl::StrCat(path.string(), ": its images need more than the ", allowed,
                   " bytes of memory that are allowed; a folder or an archive "
                   "that is not gzipped stays on disk"));
}

absl::Status NoImages(const fs::path& path) {
  return absl::NotFoundError(
      absl::StrCat(path.string(), ": holds no .png, .jpg or .jpeg file"));
}

// Printable, whatever the file is called.
std::string ShownName(const fs::path& set, const std::string& path) {
  return absl::StrCat(set.string(), "/", absl::Utf8SafeCEscape(path));
}

class FolderImages : public EncodedImages {
 public:
  FolderImages(fs::path folder, std::vector<std::string> paths)
      : folder_(std::move(folder)), paths_(std::move(paths)) {}

  size_t size() const override { return paths_.size(); }

  std::string Name(size_t index) const override {
    return ShownName(folder_, paths_[index]);
  }

  absl::StatusOr<std::string_view> Read(size_t index,
                                        std::string* scratch) const override {
    const absl::StatusOr<FileBytes> file =
        FileBytes::Open(folder_ / paths_[index]);
    if (!file.ok()) return file.status();
    if (file->size() > kMaxEncodedBytes) return TooLarge(file->size());
    if (absl::Status s = file->Read(0, file->size(), scratch); !s.ok()) {
      return s;
    }
    return *scratch;
  }

 private:
  const fs::path folder_;
  const std::vector<std::string> paths_;
};

// An image in an archive: where it lies, or, of a gzipped one, its bytes.
struct Member {
  std::string path;
  uint64_t size;
  uint64_t offset;
  std::string bytes;
};

class ArchiveImages : public EncodedImages {
 public:
  ArchiveImages(fs::path archive, FileBytes file, bool in_memory,
                std::vector<Member> members)
      : archive_(std::move(archive)),
        file_(std::move(file)),
        in_memory_(in_memory),
        members_(std::move(members)) {}

  size_t size() const override { return members_.size(); }

  std::string Name(size_t index) const override {
    return ShownName(archive_, members_[index].path);
  }

  absl::StatusOr<std::string_view> Read(size_t index,
                                        std::string* scratch) const override {
    const Member& member = members_[index];
    if (member.size > kMaxEncodedBytes) return TooLarge(member.size);
    if (in_memory_) return member.bytes;
    if (absl::Status s = file_.Read(member.offset, member.size, scratch);
        !s.ok()) {
      return s;
    }
    return *scratch;
  }

 private:
  const fs::path archive_;
  const FileBytes file_;
  const bool in_memory_;
  const std::vector<Member> members_;
};

// Collects the images of a folder and of those in it.
class FolderWalk {
 public:
  FolderWalk(const fs::path& root, uint64_t max_memory_bytes)
      : root_(root), max_memory_bytes_(max_memory_bytes) {}

  // `relative` ends in a slash or is empty.
  absl::Status Enter(const std::string& relative, int depth) {
    if (depth > kMaxDepth) {
      return absl::ResourceExhaustedError(absl::StrCat(
          ShownName(root_, relative), ": deeper than ", kMaxDepth, " folders"));
    }
    std::error_code error;
    fs::directory_iterator entries(root_ / relative, error);
    std::vector<std::string> folders;
    for (; !error && entries != fs::directory_iterator();
         entries.increment(error)) {
      const std::string name = entries->path().filename().string();
      if (name.front() == '.') continue;
      std::error_code status_error;
      if (entries->symlink_status(status_error).type() ==
          fs::file_type::directory) {
        folders.push_back(relative + name + "/");
      } else if (IsImagePath(name) && IsFileWithin(*entries)) {
        memory_bytes_ += sizeof(std::string) + relative.size() + name.size();
        if (memory_bytes_ > max_memory_bytes_) {
          return OverMemory(root_, max_memory_bytes_);
        }
        paths_.push_back(relative + name);
      }
    }
    if (error) return SystemError(root_ / relative, error);
    for (const std::string& folder : folders) {
      if (absl::Status s = Enter(folder, depth + 1); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  std::vector<std::string> TakePaths() { return std::move(paths_); }

 private:
  // A regular file, or a link to one in this folder.
  bool IsFileWithin(const fs::directory_entry& entry) const {
    std::error_code error;
    if (!entry.is_symlink(error)) return entry.is_regular_file(error);
    const fs::path target = fs::canonical(entry.path(), error);
    if (error || !fs::is_regular_file(target, error)) return false;
    const fs::path root = fs::canonical(root_, error);
    return !error &&
           std::mismatch(root.begin(), root.end(), target.begin(), target.end())
                   .first == root.end();
  }

  const fs::path& root_;
  const uint64_t max_memory_bytes_;
  uint64_t memory_bytes_ = 0;
  std::vector<std::string> paths_;
};

absl::StatusOr<std::unique_ptr<EncodedImages>> OpenFolder(
    const fs::path& path, const ImageFolderOptions& options) {
  FolderWalk walk(path, options.max_memory_bytes);
  if (absl::Status s = walk.Enter("", 0); !s.ok()) return s;
  std::vector<std::string> paths = walk.TakePaths();
  if (paths.empty()) return NoImages(path);
  std::sort(paths.begin(), paths.end());
  return std::make_unique<FolderImages>(path, std::move(paths));
}

// By path, and the last of each.
void SortMembers(std::vector<Member>* members) {
  std::stable_sort(
      members->begin(), members->end(),
      [](const Member& a, const Member& b) { return a.path < b.path; });
  // Of equal ones unique() keeps the first, which from behind is the last.
  const auto kept = std::unique(
      members->rbegin(), members->rend(),
      [](const Member& a, const Member& b) { return a.path == b.path; });
  members->erase(members->begin(), kept.base());
}

absl::StatusOr<std::unique_ptr<EncodedImages>> OpenArchive(
    const fs::path& path, const ImageFolderOptions& options) {
  absl::StatusOr<FileBytes> file = FileBytes::Open(path);
  if (!file.ok()) {
    return absl::Status(
        file.status().code(),
        absl::StrCat(path.string(), ": ", file.status().message()));
  }
  const absl::StatusOr<std::unique_ptr<TarReader>> tar = TarReader::Open(path);
  if (!tar.ok()) return tar.status();
  const bool in_memory = (*tar)->gzipped();

  std::vector<Member> members;
  uint64_t memory_bytes = 0;
  const auto report = [&] {
    if (options.progress) {
      options.progress({static_cast<int64_t>(members.size()), memory_bytes});
    }
  };
  while (true) {
    absl::StatusOr<std::optional<TarMember>> next = (*tar)->Next();
    if (!next.ok()) return next.status();
    if (!*next) break;
    Member member{std::move((*next)->path), (*next)->size, (*next)->offset, ""};
    while (member.path.starts_with("./")) member.path.erase(0, 2);
    if (!IsImagePath(member.path)) continue;
    const bool kept = in_memory && member.size <= kMaxEncodedBytes;
    memory_bytes +=
        sizeof(Member) + member.path.size() + (kept ? member.size : 0);
    if (memory_bytes > options.max_memory_bytes) {
      return OverMemory(path, options.max_memory_bytes);
    }
    if (kept) {
      if (absl::Status s = (*tar)->ReadContent(&member.bytes); !s.ok()) {
        return s;
      }
    }
    members.push_back(std::move(member));
    if (members.size() % kImagesPerReport == 0) report();
  }
  report();
  if (members.empty()) return NoImages(path);
  SortMembers(&members);
  return std::make_unique<ArchiveImages>(path, *std::move(file), in_memory,
                                         std::move(members));
}

}  // namespace

bool IsImagePath(std::string_view path) {
  const std::string lower =
      absl::AsciiStrToLower(absl::string_view(path.data(), path.size()));
  if (!lower.ends_with(".png") && !lower.ends_with(".jpg") &&
      !lower.ends_with(".jpeg")) {
    return false;
  }
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.starts_with('.') && part != "." && part != "..") return false;
    begin = end + 1;
  }
  return true;
}

absl::StatusOr<std::unique_ptr<EncodedImages>> OpenImageFolder(
    const std::filesystem::path& path, const ImageFolderOptions& options) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::not_found) {
    return absl::NotFoundError(absl::StrCat(
        path.string(),
        ": nothing is there; wanted a folder of .png, .jpg or .jpeg files, or "
        "a .tar or .tar.gz archive of one"));
  }
  if (type == fs::file_type::directory) return OpenFolder(path, options);
  if (type == fs::file_type::regular) return OpenArchive(path, options);
  if (error) return SystemError(path, error);
  return absl::InvalidArgumentError(
      absl::StrCat(path.string(), ": neither a folder nor a file"));
}

}  // namespace ddgan
