// Pictures in tar archives: OpenTarImages.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "trainer/dataset/encoded/file_bytes.h"
#include "trainer/dataset/encoded/image_archive.h"
#include "trainer/dataset/encoded/image_decoder.h"
#include "trainer/dataset/encoded/tar_reader.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using Image = ImageArchive::Image;

constexpr size_t kImagesPerReport = 10'000;
constexpr int kMaxLinks = 8;  // From link to link.

// Images by their offsets in the file, which is opened for each: a set may have
// more archives than a process may have open files.
class TarOnDisk : public ImageArchive {
 public:
  TarOnDisk(fs::path path, uint64_t bytes)
      : path_(std::move(path)), bytes_(bytes) {}

  absl::StatusOr<std::string_view> Read(const Image& image,
                                        std::string* scratch) const override {
    if (image.size > kMaxEncodedBytes) return TooLargeToRead(image.size);
    const absl::StatusOr<FileBytes> file = FileBytes::Open(path_);
    if (!file.ok()) return file.status();
    if (file->size() != bytes_) {
      return absl::UnavailableError(
          absl::StrCat("the archive has ", file->size(), " bytes and had ",
                       bytes_, " when it was opened"));
    }
    if (absl::Status s = file->Read(image.place, image.size, scratch);
        !s.ok()) {
      return s;
    }
    return *scratch;
  }

 private:
  const fs::path path_;
  const uint64_t bytes_;
};

// Images in memory, by their index.
class TarInMemory : public ImageArchive {
 public:
  explicit TarInMemory(std::vector<std::string> contents)
      : contents_(std::move(contents)) {}

  absl::StatusOr<std::string_view> Read(const Image& image,
                                        std::string*) const override {
    if (image.size > kMaxEncodedBytes) return TooLargeToRead(image.size);
    return contents_[image.place];
  }

 private:
  const std::vector<std::string> contents_;
};

// `path` with its "." and ".." resolved, from the archive's root.
std::string Normal(const fs::path& path) {
  return path.lexically_normal().relative_path().string();
}

class TarScan {
 public:
  TarScan(const fs::path& path, const ArchiveOptions& options, TarReader* tar)
      : path_(path), options_(options), tar_(tar) {}

  absl::Status Run() {
    while (true) {
      absl::StatusOr<std::optional<TarMember>> next = tar_->Next();
      if (!next.ok()) return next.status();
      if (!*next) break;
      TarMember member = **std::move(next);
      while (member.path.starts_with("./")) member.path.erase(0, 2);
      const absl::Status status = member.kind == TarMember::Kind::kFile
                                      ? AddFile(std::move(member))
                                      : AddLink(std::move(member));
      if (!status.ok()) return status;
    }
    FollowLinks();
    PassOverOthers();
    return absl::OkStatus();
  }

  std::vector<Image> TakeImages() { return std::move(images_); }
  std::vector<std::string> TakeContents() { return std::move(contents_); }

 private:
  struct Place {
    uint64_t place;
    uint64_t size;
  };

  // Whether the picture of this path is of the set.
  bool IsOfSet(const std::string& path) const {
    return !options_.is_of_set || options_.is_of_set(path);
  }

  absl::Status AddFile(TarMember member) {
    const bool is_image = IsImagePath(member.path);
    const bool is_listed = is_image && IsOfSet(member.path);
    // Of others the place is kept, since links may lead there.
    if (!is_listed && tar_->packed()) {
      if (!is_image) PassOverFile(member.path, options_.report);
      absl::Status room = options_.budget->Take(
          sizeof(std::string) + member.path.size(), path_);
      if (room.ok()) unread_.insert(Normal(member.path));
      return room;
    }
    const bool kept = tar_->packed() && member.size <= kMaxEncodedBytes;
    if (absl::Status s = options_.budget->Take(
            2 * (sizeof(Image) + member.path.size()) + (kept ? member.size : 0),
            path_);
        !s.ok()) {
      return s;
    }
    Place place = {member.offset, member.size};
    if (tar_->packed()) {
      place.place = contents_.size();
      contents_.emplace_back();
      if (kept) {
        if (absl::Status s = tar_->ReadContent(&contents_.back()); !s.ok()) {
          return s;
        }
      }
    }
    std::string path = Normal(member.path);
    links_.erase(path);  // Of members with one path the last counts.
    places_[std::move(path)] = place;
    if (is_listed) {
      AddImage(std::move(member.path), place);
    } else if (!is_image) {
      others_.emplace_back(std::move(member.path), place.place);
    }
    return absl::OkStatus();
  }

  absl::Status AddLink(TarMember member) {
    if (absl::Status s = options_.budget->Take(
            sizeof(Link) + member.path.size() + member.target.size(), path_);
        !s.ok()) {
      return s;
    }
    const bool is_hard = member.kind == TarMember::Kind::kHardLink;
    std::string target =
        Normal(is_hard ? fs::path(member.target)
                       : fs::path(member.path).parent_path() / member.target);
    std::string path = Normal(member.path);
    // Found now: another file of that path may follow.
    if (const auto found = places_.find(target);
        is_hard && found != places_.end()) {
      const Place place = found->second;
      links_.erase(path);
      places_[std::move(path)] = place;
      if (IsImagePath(member.path) && IsOfSet(member.path)) {
        AddImage(std::move(member.path), place);
      }
      return absl::OkStatus();
    }
    places_.erase(path);
    links_[std::move(path)] = {std::move(member.path), std::move(target)};
    return absl::OkStatus();
  }

  // Where `target` is, by way of other links.
  std::optional<Place> Find(std::string target) const {
    for (int i = 0; i < kMaxLinks; ++i) {
      if (const auto found = places_.find(target); found != places_.end()) {
        return found->second;
      }
      const auto next = links_.find(target);
      if (next == links_.end()) break;
      target = next->second.target;
    }
    return std::nullopt;
  }

  void FollowLinks() {
    for (auto& [_, link] : links_) {
      const bool is_image = IsImagePath(link.path);
      if (is_image && !IsOfSet(link.path)) continue;
      const std::optional<Place> place = Find(link.target);
      if (is_image && place.has_value()) {
        AddImage(link.path, *place);
      } else if (is_image ||
                 // One to a folder, in which there may be pictures.
                 (!place.has_value() && !IsHidden(link.path) &&
                  !unread_.contains(link.target))) {
        options_.report->PassOver(SetReport::Reason::kLinkInArchive, link.path);
      }
    }
  }

  // A picture that is read by a link's name is not passed over.
  void PassOverOthers() {
    if (others_.empty()) return;
    std::set<uint64_t> read;
    for (const Image& image : images_) read.insert(image.place);
    for (const auto& [path, place] : others_) {
      if (!read.contains(place)) PassOverFile(path, options_.report);
    }
  }

  void AddImage(std::string path, Place place) {
    images_.push_back({std::move(path), place.place, place.size});
    if (options_.progress && images_.size() % kImagesPerReport == 0) {
      options_.progress(
          {static_cast<int64_t>(images_.size()), options_.budget->taken()});
    }
  }

  struct Link {
    std::string path;
    std::string target;
  };

  const fs::path& path_;
  const ArchiveOptions& options_;
  TarReader* const tar_;
  std::vector<Image> images_;
  std::vector<std::string> contents_;  // Of a compressed archive.
  // Files that are no pictures by their names, and where they are.
  std::vector<std::pair<std::string, uint64_t>> others_;
  // By path from the archive's root.
  std::map<std::string, Place> places_;
  std::map<std::string, Link> links_;
  // Files of a compressed archive that are not kept.
  std::set<std::string> unread_;
};

}  // namespace

absl::StatusOr<OpenedArchive> OpenTarImages(const std::filesystem::path& path,
                                            const ArchiveOptions& options) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error) return absl::ErrnoToStatus(error.value(), path.string());
  const absl::StatusOr<std::unique_ptr<TarReader>> tar = TarReader::Open(path);
  if (!tar.ok()) return tar.status();
  TarScan scan(path, options, tar->get());
  if (absl::Status s = scan.Run(); !s.ok()) return s;
  OpenedArchive opened;
  opened.images = scan.TakeImages();
  if ((*tar)->packed()) {
    opened.archive = std::make_unique<TarInMemory>(scan.TakeContents());
  } else {
    opened.archive = std::make_unique<TarOnDisk>(path, bytes);
  }
  return opened;
}

}  // namespace ddgan
