#include "trainer/dataset/encoded/image_folder.h"

#include <algorithm>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "trainer/dataset/encoded/file_bytes.h"
#include "trainer/dataset/encoded/folder_walk.h"
#include "trainer/dataset/encoded/image_decoder.h"
#include "trainer/dataset/encoded/set_report.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

// Printable, whatever the file is called.
std::string ShownName(const fs::path& set, const std::string& path) {
  return absl::StrCat(set.string(), "/", absl::Utf8SafeCEscape(path));
}

// What was passed over, as the end of a message.
std::string PassedOverText(const SetReport& report) {
  std::string text;
  for (const std::string& line : report.PassedOver()) {
    absl::StrAppend(&text, "; ", line);
  }
  return text;
}

// Which pictures are of the classes that were asked for.
class ClassChoice {
 public:
  // `report` outlives this.
  ClassChoice(const std::vector<std::string>& wanted, SetReport* report)
      : report_(report),
        wanted_(wanted.begin(), wanted.end()),
        missing_(wanted_) {}

  // Whether the picture of this path is, if any were asked for; passes it over
  // if not.
  bool Takes(const std::string& path) {
    const std::string name = ClassOf(path);
    if (wanted_.contains(name)) return true;
    if (others_.size() < kMaxNamed) others_.insert(name);
    report_->PassOver(SetReport::Reason::kOtherClass, path);
    return false;
  }

  // The picture of this path is in the set.
  void Count(const std::string& path) {
    if (!missing_.empty()) missing_.erase(ClassOf(path));
    report_->Count(path);
  }

  // InvalidArgument if a class that was asked for has no picture.
  absl::Status CheckFound(const fs::path& set) const {
    if (missing_.empty()) return absl::OkStatus();
    const auto quoted = [](std::string* out, const std::string& name) {
      absl::StrAppend(out, "'", absl::Utf8SafeCEscape(name), "'");
    };
    const auto place = [&quoted](std::string* out, const std::string& name) {
      if (name.empty()) {
        absl::StrAppend(out, "in no folder");
      } else {
        absl::StrAppend(out, "in ");
        quoted(out, name);
      }
    };
    return absl::InvalidArgumentError(absl::StrCat(
        set.string(), ": no picture lies in a folder called ",
        absl::StrJoin(missing_, " or ", quoted),
        others_.empty() ? "" : ", but ", absl::StrJoin(others_, ", ", place),
        PassedOverText(*report_)));
  }

 private:
  static constexpr size_t kMaxNamed = 10;

  static std::string ClassOf(const std::string& path) {
    return fs::path(path).parent_path().filename().string();
  }

  SetReport* const report_;
  const std::set<std::string> wanted_;
  std::set<std::string> missing_;  // Of these, none is counted.
  std::set<std::string> others_;   // The first that were met.
};

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
    if (file->size() > kMaxEncodedBytes) return TooLargeToRead(file->size());
    if (absl::Status s = file->Read(0, file->size(), scratch); !s.ok()) {
      return s;
    }
    return *scratch;
  }

 private:
  const fs::path folder_;
  const std::vector<std::string> paths_;
};

// Of one archive, or of several one after the other.
class ArchivedImages : public EncodedImages {
 public:
  struct Archive {
    fs::path path;
    std::unique_ptr<ImageArchive> archive;
  };
  struct Entry {
    size_t archive;  // Index.
    ImageArchive::Image image;
  };

  ArchivedImages(std::vector<Archive> archives, std::vector<Entry> entries)
      : archives_(std::move(archives)), entries_(std::move(entries)) {}

  size_t size() const override { return entries_.size(); }

  std::string Name(size_t index) const override {
    const Entry& entry = entries_[index];
    return ShownName(archives_[entry.archive].path, entry.image.path);
  }

  absl::StatusOr<std::string_view> Read(size_t index,
                                        std::string* scratch) const override {
    const Entry& entry = entries_[index];
    return archives_[entry.archive].archive->Read(entry.image, scratch);
  }

 private:
  const std::vector<Archive> archives_;
  const std::vector<Entry> entries_;
};

// By path, and the last of each.
void SortImages(std::vector<ImageArchive::Image>* images) {
  using Image = ImageArchive::Image;
  std::stable_sort(
      images->begin(), images->end(),
      [](const Image& a, const Image& b) { return a.path < b.path; });
  // Of equal ones unique() keeps the first, which from behind is the last.
  const auto kept = std::unique(
      images->rbegin(), images->rend(),
      [](const Image& a, const Image& b) { return a.path == b.path; });
  images->erase(images->begin(), kept.base());
}

absl::StatusOr<std::unique_ptr<EncodedImages>> OpenArchives(
    const std::vector<fs::path>& paths, const ArchiveOptions& options,
    ClassChoice* choice) {
  std::vector<ArchivedImages::Archive> archives;
  std::vector<ArchivedImages::Entry> entries;
  for (const fs::path& path : paths) {
    ArchiveOptions counted = options;
    if (options.progress) {
      counted.progress = [&](ArchiveProgress progress) {
        progress.images += static_cast<int64_t>(entries.size());
        options.progress(progress);
      };
    }
    absl::StatusOr<OpenedArchive> opened = OpenImageArchive(path, counted);
    if (!opened.ok()) return opened.status();
    SortImages(&opened->images);
    for (ImageArchive::Image& image : opened->images) {
      choice->Count(image.path);
      entries.push_back({archives.size(), std::move(image)});
    }
    archives.push_back({path, std::move(opened->archive)});
  }
  if (options.progress) {
    options.progress(
        {static_cast<int64_t>(entries.size()), options.budget->taken()});
  }
  return std::make_unique<ArchivedImages>(std::move(archives),
                                          std::move(entries));
}

absl::StatusOr<std::unique_ptr<EncodedImages>> OpenFolder(
    const fs::path& path, const ArchiveOptions& options, ClassChoice* choice) {
  absl::StatusOr<FolderFiles> files =
      WalkFolder(path, options.budget, options.report);
  if (!files.ok()) return files.status();
  if (files->pictures.empty() && !files->archives.empty()) {
    std::vector<fs::path> paths;
    for (const std::string& archive : files->archives) {
      paths.push_back(path / archive);
    }
    return OpenArchives(paths, options, choice);
  }
  for (const std::string& archive : files->archives) {
    options.report->PassOver(SetReport::Reason::kArchive, archive);
  }
  if (options.is_of_set) {
    std::erase_if(files->pictures, [&options](const std::string& picture) {
      return !options.is_of_set(picture);
    });
  }
  for (const std::string& picture : files->pictures) choice->Count(picture);
  return std::make_unique<FolderImages>(path, std::move(files->pictures));
}

absl::Status NoImages(const fs::path& path, const SetReport& report) {
  return absl::NotFoundError(
      absl::StrCat(path.string(), ": holds no picture, which are ",
                   PictureEndings(), PassedOverText(report)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EncodedImages>> OpenImageFolder(
    const std::filesystem::path& path, const ImageFolderOptions& options) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::not_found) {
    return absl::NotFoundError(absl::StrCat(
        path.string(), ": nothing is there; wanted a folder of pictures (",
        PictureEndings(), "), a .tar, .tar.gz, .tar.xz, .tar.bz2, .tar.zst or ",
        ".zip of one, or a folder of these"));
  }
  if (error && type == fs::file_type::none) {
    return absl::ErrnoToStatus(error.value(), path.string());
  }
  if (type != fs::file_type::directory && type != fs::file_type::regular) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), ": neither a folder nor a file"));
  }
  MemoryBudget budget(options.max_memory_bytes);
  SetReport report;
  ArchiveOptions archive_options = {
      .budget = &budget, .report = &report, .progress = options.progress};
  ClassChoice choice(options.classes, &report);
  if (!options.classes.empty()) {
    archive_options.is_of_set = [&choice](const std::string& picture) {
      return choice.Takes(picture);
    };
  }
  absl::StatusOr<std::unique_ptr<EncodedImages>> images =
      type == fs::file_type::directory
          ? OpenFolder(path, archive_options, &choice)
          : OpenArchives({path}, archive_options, &choice);
  if (!images.ok()) return images.status();
  if (absl::Status s = choice.CheckFound(path); !s.ok()) return s;
  if ((*images)->size() == 0) return NoImages(path, report);
  if (options.print) {
    options.print(absl::StrCat(path.string(), ": ", report.Found()));
    for (const std::string& line : report.PassedOver()) {
      options.print(absl::StrCat(path.string(), ": ", line));
    }
  }
  return images;
}

}  // namespace ddgan
